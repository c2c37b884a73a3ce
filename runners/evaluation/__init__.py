"""Predictions on disk, then their scores.

Public: `predict`, `replay`, `score_predictions`.
"""
