"""What is said beside a status: a witness in words, a warning, advice, and repairs that were checked."""
