"""Latency in alternating rounds.

Public: `time_session`, `time_units`, `is_valid`.
"""
