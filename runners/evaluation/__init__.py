"""Predictions on disk, then their scores.

Public: `predict.predict`, `replay.replay`, `score.score_predictions`.
"""
