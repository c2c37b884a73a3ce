"""Mask AP with one part of the pipeline made perfect.

Public: `ladder.oracle_ladder`, `ladder.ORACLES`.
"""
