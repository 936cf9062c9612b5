"""What each learned part is taught by dense attention, a file for each."""
