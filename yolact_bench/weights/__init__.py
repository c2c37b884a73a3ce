"""Files of weights, and what a training starts from.

Public: `state_file.read_state`, `state_file.load_exactly`, `released.to_ours`,
`released.recognise`, `initial.INITS`.
"""
