"""The work on one arm with one seed: train, evaluate, analyse.

Public: `finish.finish`, `train.ensure_trained`, `evaluate.evaluate_unit`, `job.Job`.
"""
