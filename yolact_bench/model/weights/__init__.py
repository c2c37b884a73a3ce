"""Files of weights. Face: `read_state`, `load_exactly`, `to_ours`, `recognise`."""
