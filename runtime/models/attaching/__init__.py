"""A model looked through, and a plan resolved against it: which layer and head is to run what."""
