"""The network. Face: `network.Yolact`, `inference.fused.InferenceNetwork`, a table per slot.

The tables: `BACKBONES`, `DCN_PLACEMENTS`, `FPNS`, `PROTONETS`, `HEADS`, `RESCORE_NETS`, `INITS` and
`BATCH_NORMS`.
"""
