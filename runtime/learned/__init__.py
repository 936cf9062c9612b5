"""Patterns with learned terms, compiled: positional parts by the engines, selections by lists, one softmax."""
