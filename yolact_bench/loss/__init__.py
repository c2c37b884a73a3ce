"""The training loss.

Public: `total.Losses`, `match.MATCHERS`, `classify.CLASS_LOSSES`, `box.BOX_LOSSES`,
`mask.MASK_LOSSES`, `semantic.SEMANTIC_LOSSES`, `mask_iou.MASK_IOU_LOSSES`.
"""
