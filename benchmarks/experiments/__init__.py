"""Small models trained from scratch, and the data that they learn from."""
