"""Three ways to run a program, one contract."""
