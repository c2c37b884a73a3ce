"""Triton kernels of what surrounds the network.

Public: `choose_fast.choose_fast`.
"""
