"""Results: typed records, the append-only store, timing sessions, contrasts and data frames.

Public: `store.Store`, `record.Record`, `sessions`, `contrasts`, `frames.Results`. Loads no torch.
"""
