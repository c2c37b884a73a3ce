"""MLflow: a copy of what happens, for browsing. The result store is the truth.

Public: `Tracker`, `NoTracker`, `MlflowTracker`, `backfill`, `store_uri`.
"""
