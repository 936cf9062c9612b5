"""Where the sequences of a batch lie: padding and packed documents, read from masks and positions."""
