"""Figures of ablations, profiles and latency curves. The only place that knows matplotlib.

Public: `draw.draw`, `draw.FIGURES`, `style`.
"""
