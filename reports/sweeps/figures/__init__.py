"""Figures of sweeps.

Public: `draw.FIGURES`.
"""
