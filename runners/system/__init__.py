"""Leaves: processes, ranks, signals, the environment, exit codes.

Public: `progress.progress`, `ranks.Ranks`, `interrupt.TrainingStop`, `environment.environment`.
"""
