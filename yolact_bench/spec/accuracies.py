"""The names of COCO's metrics: of specs, records, tables and sweeps, in COCOeval's order."""

COCO_METRICS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)
ACCURACIES = tuple(f"{kind}_{name}" for kind in ("mask", "box") for name in COCO_METRICS)
