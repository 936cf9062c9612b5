"""Tree to text, and text to well laid out text."""
