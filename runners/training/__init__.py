"""One training, resumable bit for bit.

Public: `run.train`, `run.TrainingResult`, `options.TrainingOptions`.
"""
