"""The whole network: an image batch in, raw predictions out."""

from collections.abc import Mapping
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.clock import Clock, no_clock
from yolact_bench.geometry.anchors import anchor_grid
from yolact_bench.geometry.protocols import AnchorShapes
from yolact_bench.model.backbone import Backbone
from yolact_bench.model.protocols import Fpn, Head, Protonet
from yolact_bench.runtime.runtime import Program
from yolact_bench.shapes import HeadRows, Predictions, needs_features


class StagedNetwork(Program):
    """A network in the stages that clocks time and compilers take one by one."""

    backbone: nn.Module
    fpn: nn.Module
    protonet: nn.Module
    head: nn.Module
    semantic: nn.Module | None  # for its loss alone
    anchors: Tensor
    keeps_features: bool

    @property
    def rows(self) -> HeadRows | None:
        """Where the head leaves its rows; None: in the order of the anchors."""
        return None

    def prepare(self, x: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
        """Return the images as the backbone wants them."""
        return x

    def forward(self, x: Float[Tensor, "B 3 S S"], clock: Clock = no_clock) -> Predictions:
        """Return raw predictions for normalised images."""
        with clock("backbone"):
            features = self.backbone(self.prepare(x))
        with clock("fpn"):
            levels = self.fpn(features)
        if self.run_both is None or clock is not no_clock:
            with clock("protonet"):
                prototypes = self.protonet(levels[0])
            with clock("head"):
                of_anchors = self.head(levels)
        else:
            both = partial(self.protonet, levels[0]), partial(self.head, levels)
            prototypes, of_anchors = self.run_both(*both)
        boxes, class_logits, coefficients = of_anchors
        semantic = self.semantic if self.training else None
        return Predictions(
            boxes=boxes,
            class_logits=class_logits,
            coefficients=coefficients,
            prototypes=prototypes,
            anchors=self.anchors,
            semantic=None if semantic is None else semantic(levels[0]),
            features=tuple(levels) if self.keeps_features else None,
            rows=self.rows,
        )


class Yolact(StagedNetwork):
    """YOLACT / YOLACT++: backbone, FPN, protonet and shared head; plus what only training uses.

    `semantic` is a 1×1 convolution on P3 that exists for its loss alone. `rescore_net` belongs
    to the weights but is called by detection and by the mask-IoU loss, not here.

    Source: YOLACT (arXiv:1904.02689) figure 2; YOLACT++ (arXiv:1912.06218).
    """

    protonet: Protonet
    head: Head

    def __init__(
        self,
        *,
        backbone: Backbone,
        fpn: Fpn,
        protonet: Protonet,
        head: Head,
        rescore_net: nn.Module | None,
        anchors: AnchorShapes,
        image_size: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.backbone, self.fpn, self.protonet, self.head = backbone, fpn, protonet, head
        self.mean, self.std = backbone.mean, backbone.std
        self.semantic = nn.Conv2d(fpn.channels, num_classes, 1)
        self.rescore_net = rescore_net
        self.keeps_features = needs_features(rescore_net)
        self.image_size = image_size
        # Built on the CPU in double precision whatever device the network is made on; derived
        # from the choice of slots, so it is not part of a checkpoint.
        self.register_buffer("anchors", anchor_grid(anchors, image_size), persistent=False)
        for part in (fpn, protonet, head, self.semantic, rescore_net):
            if part is not None:
                part.apply(_xavier)

    @property
    def class_layers(self) -> Mapping[str, int]:
        """Names of layers with outputs for each class → outputs of a block before the first."""
        parts = {"head": self.head, "rescore_net": self.rescore_net}
        return {"semantic": 0} | {
            f"{part}.{layer}": first
            for part, module in parts.items()
            for layer, first in getattr(module, "class_layers", {}).items()
        }


def _xavier(module: nn.Module) -> None:
    """Xavier uniform weights and zero biases, as every convolution outside the backbone starts.

    Source: dbolya/yolact@902073d yolact.py, `Yolact.init_weights`.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
