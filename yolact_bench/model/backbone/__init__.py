"""Backbones: an image in, three feature maps out.

Public: `Backbone`, `BACKBONES`, `dcn.DCN_PLACEMENTS`.
"""

from collections.abc import Mapping

from yolact_bench.model.backbone.backbone import Backbone, Block, MakeBackbone
from yolact_bench.model.backbone.darknet import darknet53
from yolact_bench.model.backbone.resnet import resnet18, resnet34, resnet50, resnet101

__all__ = ["BACKBONES", "Backbone", "Block", "MakeBackbone"]

BACKBONES: Mapping[str, MakeBackbone] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "darknet53": darknet53,
}
