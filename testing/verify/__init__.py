"""What `patternc verify` asks of a pattern: properties, each tried on random examples and shrunk where one fails."""
