"""The names of what lies in a work directory; packages name what only they write."""

RESULTS = "results.jsonl"
CHECKPOINTS = "checkpoints"  # a folder for each train digest, with:
RUN, LOG, LAST, FINAL = "run.yaml", "log.jsonl", "last.pt", "final.pt"
PREDICTIONS = "predictions"  # a folder for each digest of detections or of a forward pass
RESAMPLES = "resamples"  # a file for each detect digest
REPORTS = "reports"  # a folder for each ablation
SWEEPS = "sweeps"  # a folder for each sweep
