"""Triton kernels of what surrounds the network. Face: `choose_fast`."""
