"""One training, resumable bit for bit.

Public: `train`, `TrainingOptions`, `TrainingResult`.
"""
