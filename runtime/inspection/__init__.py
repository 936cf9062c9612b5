"""What learned layers choose in one text, as numbers, pages and pictures."""
