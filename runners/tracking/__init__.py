"""MLflow: a copy of what happens, for browsing. The result store is the truth.

Public: `tracker.Tracker`, `backfill.backfill`, `server.store_uri`.
"""
