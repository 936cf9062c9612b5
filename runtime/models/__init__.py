"""Patterns inside transformers models."""
