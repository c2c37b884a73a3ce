"""Latency in alternating rounds.

Public: `session.time_session`, `records.time_units`, `records.time_together`,
`records.TimingLimits`, `request.LatencyRequest`, `command.latency` and `curve.latency_curve`.
Whether a session counts is decided in `yolact_bench.results.sessions`.
"""
