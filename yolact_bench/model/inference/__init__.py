"""Networks rewritten for inference: folded norms, minimal and merged convolutions."""
