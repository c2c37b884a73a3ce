"""MLflow: a copy of what happens, for browsing. The result store is the truth.

Public: `tracker.Tracker`, `tracker.NoTracker`, `mlflow_tracker.MlflowTracker`, `backfill.backfill`,
`server.store_uri`.
"""
