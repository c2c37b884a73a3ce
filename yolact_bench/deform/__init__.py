"""The deformable 3×3 convolution (DCNv2), and the implementations that compute it.

Public: `layer.DeformableConv2d`, `layer.DeformImplementation`, `DEFORM_IMPLEMENTATIONS`.
"""

from collections.abc import Mapping

from yolact_bench.deform.gather import gather_deform
from yolact_bench.deform.layer import DeformImplementation, torchvision_deform
from yolact_bench.deform.triton_layer import triton_deform

DEFORM_IMPLEMENTATIONS: Mapping[str, DeformImplementation] = {
    "torchvision": torchvision_deform,
    "gather": gather_deform,
    "triton": triton_deform,
}
