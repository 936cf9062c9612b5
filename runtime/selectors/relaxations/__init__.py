"""The hard choice of the k best, and what stands for it backwards."""
