"""Figures of sweeps.

Public: `draw.draw`, `draw.stems`.
"""
