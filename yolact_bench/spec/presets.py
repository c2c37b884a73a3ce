"""The published configurations and the CPU-sized one, with every slot spelt out.

Sources: YOLACT (arXiv:1904.02689), YOLACT++ (arXiv:1912.06218), and
dbolya/yolact@902073d data/config.py for constants the papers leave out.
"""

from collections.abc import Mapping

from yolact_bench.errors import SpecError, brief, hint
from yolact_bench.published_datasets import COCO_CLASSES, PASCAL_CLASSES, SHAPES_CLASSES
from yolact_bench.slots import Choice
from yolact_bench.spec.run import Run

_COCO_SCHEDULE: Choice = {
    "name": "steps",
    "iterations": 800_000,
    "batch_size": 8,
    "lr": 1e-3,
    "steps": [280_000, 600_000, 700_000, 750_000],
}

_YOLACT_R101 = Run(
    backbone={"name": "resnet101"},
    dcn={"name": "nowhere"},
    fpn={"name": "yolact"},
    protonet={"name": "fcn", "k": 32},
    anchors={"name": "one_scale", "scales": [24, 48, 96, 192, 384], "square": True},
    head={"name": "shared"},
    rescore_net={"name": "none"},
    image_size=550,
    classes=COCO_CLASSES,
    dataset={"name": "coco"},
    augment={"name": "ssd", "masks": "network_size"},
    matcher={"name": "ssd"},
    class_loss={"name": "ohem_cross_entropy"},
    box_loss={"name": "smooth_l1"},
    mask_loss={"name": "lincomb_bce"},
    semantic_loss={"name": "bce"},
    mask_iou_loss={"name": "none"},
    schedule=_COCO_SCHEDULE,
    init={"name": "imagenet"},
    batch_norm={"name": "auto"},
    precision="fp32",
    seed=0,
    nms={"name": "fast"},
    rescore={"name": "none"},
    assembly={"name": "linear_combination"},
    runtime={"name": "eager"},
    deform={"name": "torchvision"},
)

_PLUS: Mapping[str, object] = {
    "anchors": {"name": "three_scales", "scales": [24, 48, 96, 192, 384]},
    "rescore_net": {"name": "mask_iou"},
    "mask_iou_loss": {"name": "smooth_l1"},
    "rescore": {"name": "mask_iou"},
}

_SBD: Mapping[str, object] = {
    "backbone": {"name": "resnet50"},
    "anchors": {"name": "pascal"},
    "classes": PASCAL_CLASSES,
    "dataset": {"name": "sbd"},
    "schedule": {**_COCO_SCHEDULE, "iterations": 120_000, "steps": [60_000, 100_000]},
}

# Ours, tuned once on `shapes` so that two CPU cores train it in minutes, then fixed: small input,
# narrow FPN and heads, polygons rasterised at the prototype size. In a short training from random
# weights nine anchors a cell (more positives) gave the largest gain, then AdamW at a high,
# clipped rate; prototypes have no ReLU because with it most of them were found dead.
_TINY: Mapping[str, object] = {
    "backbone": {"name": "resnet18"},
    "fpn": {"name": "yolact", "channels": 64},
    "protonet": {"name": "fcn", "k": 16, "channels": 64, "activation": "none"},
    "anchors": {"name": "three_scales", "scales": [14, 28, 56, 104, 150]},
    "head": {"name": "shared", "channels": 64},
    "image_size": 160,
    "classes": SHAPES_CLASSES,
    "dataset": {"name": "shapes"},
    "augment": {"name": "mirror", "masks": "prototype_size"},
    "schedule": {
        "name": "cosine",
        "iterations": 850,
        "batch_size": 8,
        "lr": 2e-3,
        "warmup": 30,
        "optimizer": "adamw",
        "weight_decay": 1e-2,
        "clip_norm": 10.0,
    },
    "precision": "bf16",
    "init": {"name": "none"},
}

PRESETS: Mapping[str, Run] = {
    "yolact_r101": _YOLACT_R101,
    "yolact_r50": _YOLACT_R101.changed({"backbone": {"name": "resnet50"}}),
    "yolact_darknet53": _YOLACT_R101.changed({"backbone": {"name": "darknet53"}}),
    # The reference truncates 24 · 400/550 and 24 · 700/550, and so on, to whole pixels.
    "yolact_r101_im400": _YOLACT_R101.changed(
        {"image_size": 400, "anchors.scales": [17, 34, 69, 139, 279]}
    ),
    "yolact_r101_im700": _YOLACT_R101.changed(
        {
            "image_size": 700,
            "anchors.scales": [30, 61, 122, 244, 488],
            "mask_loss.max_positives": 300,
        }
    ),
    "yolact_plus_r101": _YOLACT_R101.changed({**_PLUS, "dcn": {"name": "every_nth", "n": 3}}),
    # Every block, not every third: the two published models differ here.
    "yolact_plus_r50": _YOLACT_R101.changed(
        {**_PLUS, "backbone": {"name": "resnet50"}, "dcn": {"name": "every_block"}}
    ),
    "yolact_r50_sbd": _YOLACT_R101.changed(_SBD),
    "yolact_tiny": _YOLACT_R101.changed(_TINY),
}


def preset(name: str) -> Run:
    """Return the preset of that name.

    Raises:
        SpecError: there is none; the message lists what exists.
    """
    if name not in PRESETS:
        raise SpecError(
            f"no preset is named {brief(name)}{hint(name, PRESETS)}; or give a .yaml file"
        )
    return PRESETS[name]
