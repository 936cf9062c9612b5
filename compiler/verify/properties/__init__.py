"""What each property of a claim means for relations: the places where it fails, one file per property."""
