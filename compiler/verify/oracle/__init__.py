"""Claims by brute force: confirms a witness, decides a stated length, and shares no code with the proofs."""
