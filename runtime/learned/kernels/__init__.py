"""Lists in Triton: tables that kernels read, forward, backward, and their launches."""
