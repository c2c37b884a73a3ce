"""The network as inference runs it: batch norm folded, head merged, nothing that only trains."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.clock import Clock, no_clock
from yolact_bench.deform.layer import DeformableConv2d
from yolact_bench.geometry.anchors import level_sizes
from yolact_bench.model.inference.fold import fold_batch_norm
from yolact_bench.model.inference.merged_head import AtlasHead
from yolact_bench.model.inference.minimal_convolution import reduce_products
from yolact_bench.model.network import StagedNetwork, Yolact
from yolact_bench.model.rescore import MaskIouNet
from yolact_bench.runtime.strided_pair import StridedPair, note_layers, pair_fault
from yolact_bench.shapes import HALVES, HeadRows, Predictions, needs_features, widen
from yolact_bench.slots import fact


class InferenceNetwork(StagedNetwork):
    """A copy of a network for inference alone: the same raw predictions, up to rounding.

    Batch norm is folded into the convolution before it, the head's three branches are one
    convolution, tensors are channels-last, and weights have the precision it runs in. Stages are
    separate modules, so that each can be compiled and timed.

    A CPU is bound by multiplications: for it some convolutions are written with fewer. On a GPU
    the plain ones stay: what is saved there is tensor-core time, which was not measured against
    the memory traffic that comes for it.
    """

    row_numbers: Tensor | None

    def __init__(
        self,
        network: Yolact,
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        """Make it for the kind of device that it will run on, wherever the network is now."""
        super().__init__()
        self.dtype = dtype
        device = torch.device(device)
        on_cpu = device.type == "cpu"
        folded = copy.deepcopy(network).eval().requires_grad_(False)
        self.unfolded_norms = fold_batch_norm(_Stages(folded))

        def stage(module: nn.Module) -> nn.Module:
            return _convert(reduce_products(module, dtype) if on_cpu else module, dtype)

        self.backbone = stage(folded.backbone)
        self.fpn = stage(folded.fpn)
        self.protonet = stage(folded.protonet.for_inference(device))
        self.head = stage(folded.head.for_inference(device))
        self.keeps_features = network.keeps_features
        self.rescore_net = network.rescore_net
        if folded.rescore_net is not None and not needs_features(folded.rescore_net):
            joined = not on_cpu and _join_first_layers(folded.rescore_net)
            self.rescore_net = MaskRescoring(stage(folded.rescore_net), None if joined else dtype)
        self.mean, self.std = network.mean, network.std
        self.image_size = network.image_size
        # Decoding needs it in float32 whatever the rest is in.
        self.register_buffer("anchors", network.anchors, persistent=False)
        self.register_buffer("row_numbers", None, persistent=False)
        self._tanh = False
        self.semantic = None
        self.eval()

    def prepare(self, x: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
        """Return the images channels-last and in the network's precision."""
        return x.to(self.dtype).contiguous(memory_format=torch.channels_last)

    @property
    def rows(self) -> HeadRows | None:
        """Where the head leaves its rows; None: in the order of the anchors."""
        if self.row_numbers is None:
            return None
        return HeadRows(number=self.row_numbers, tanh=self._tanh)

    def leave_rows(self) -> None:
        """Have the head leave its rows where they lie, for a detection that reads them there.

        Then nothing puts its levels behind one another. A head that has no such map does not
        change. It must not have run before: stages may be compiled at their first call.
        """
        for head in self.head.modules():
            if isinstance(head, AtlasHead):
                sides = level_sizes(self.image_size)
                number, count = head.row_numbers([(side, side) for side in sides])
                number = number.to(self.anchors.device)
                anchors = self.anchors.new_zeros(count, 4).index_copy(
                    0, number.long(), self.anchors
                )
                self.anchors, self.row_numbers = anchors, number
                self._tanh, head.leaves_rows = head.activation == "tanh", True

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "B 3 S S"], clock: Clock = no_clock) -> Predictions:
        """Return raw predictions for normalised images, as float32 where they leave a stage."""
        return super().forward(x, clock)


class _Stages(nn.Module):
    """The stages of a network, of an image of any size."""

    def __init__(self, network: StagedNetwork) -> None:
        super().__init__()
        self.backbone, self.fpn = network.backbone, network.fpn
        self.protonet, self.head = network.protonet, network.head

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = self.fpn(self.backbone(x))
        return [*levels, self.protonet(levels[0]), *self.head(levels)]


class MaskRescoring(nn.Module):
    """A re-scoring network of soft masks alone, channels last and in the rest's precision.

    Without a precision it gets the masks as they are.
    """

    def __init__(self, net: nn.Module, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, masks: Float[Tensor, "N 1 h w"]) -> Float[Tensor, "N C"]:
        """Return the predicted IoU of each mask for every class, as float32."""
        if self.dtype is not None:
            masks = masks.to(self.dtype, memory_format=torch.channels_last)
        out: Tensor = self.net(masks)
        return widen(out)


def _join_first_layers(net: nn.Module) -> bool:
    """Make the first two convolutions of a `MaskIouNet` one kernel, if they fit; return whether.

    On a GPU they would cost more than the rest: tensor cores want eight channels, and get one.
    """
    if type(net) is not MaskIouNet:  # of a subclass, whose forward may differ, nothing is known
        return False
    first, _, second, _ = net.layers[:4]
    if fault := pair_fault(first, second):
        note_layers(fault)
        return False
    net.layers = nn.Sequential(StridedPair(first, second), *net.layers[4:])  # type: ignore[arg-type]
    return True


def _convert(stage: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return the stage, channels-last and in `dtype`."""
    layers = [part for part in stage.modules() if isinstance(part, DeformableConv2d)]
    for layer in layers:
        layer.pad_map()
    wide = [layer for layer in layers if fact(layer.implementation, "widens_halves")]
    for part in stage.modules():
        if dtype in HALVES and part in wide:
            continue
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            if tensor.is_floating_point():
                tensor.data = tensor.data.to(dtype)
    return stage.to(memory_format=torch.channels_last)
