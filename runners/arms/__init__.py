"""The work on one arm with one seed: train, evaluate, analyse.

Public: `finish`, `ensure_trained`, `evaluate_unit`, `Job`.
"""
