"""The network.

Public: `network.Yolact`, `backbone.BACKBONES`, `fpn.FPNS`, `protonet.PROTONETS`, `head.HEADS`,
`rescore.RESCORE_NETS`, `batch_norm.BATCH_NORMS`.
"""
