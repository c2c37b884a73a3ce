"""Trials of detection settings, scored from one stored forward pass.

Public: `scorer.TrialScorer`.
"""
