"""What people and other programs see: masks as pictures, verdicts as text, JSON, SARIF and annotations."""
