"""What is said about a text: sources, spans, codes and findings."""
