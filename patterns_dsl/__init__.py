"""The pattern language: from text to a bound syntax tree. Imports nothing of the other rooms."""
