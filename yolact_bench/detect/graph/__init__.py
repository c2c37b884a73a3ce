"""Detection of a fixed shape, for programs that are recorded once: CUDA graphs."""
