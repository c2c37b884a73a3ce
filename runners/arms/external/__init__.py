"""Rows measured by other programs: run their command, read their results.

Public: `plan.external_steps`, `predict.predict_external`, `records.evaluate_external`.
"""
