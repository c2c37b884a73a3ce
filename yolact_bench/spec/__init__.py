"""What to run: runs, presets, ablations and data sets as written down. Loads no torch."""
