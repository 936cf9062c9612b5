"""Strategies that write the language: every text is well-formed and binds."""
