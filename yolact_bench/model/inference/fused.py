"""The network as inference runs it: batch norm folded, head merged, nothing that only trains."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.clock import Clock, no_clock
from yolact_bench.deform import DeformableConv2d
from yolact_bench.model.head import SharedHead
from yolact_bench.model.inference.fold import fold_batch_norm
from yolact_bench.model.inference.minimal_convolution import with_fewer_products
from yolact_bench.model.inference.upsampled_convolution import UpsampledConvolution
from yolact_bench.model.network import StagedNetwork, Yolact
from yolact_bench.model.protonet import FcnProtonet
from yolact_bench.shapes import Predictions, needs_features

_HALVES = (torch.bfloat16, torch.float16)


class InferenceNetwork(StagedNetwork):
    """A copy of a network for inference alone: the same raw predictions, up to rounding.

    Batch norm is folded into the convolution before it, the head's three branches are one
    convolution, tensors are channels-last, and weights have the precision it runs in. Stages are
    modules of its own, so that each can be compiled and timed.

    A CPU is bound by multiplications: for it some convolutions are written with fewer. On a GPU
    the plain ones stay: what is saved there is tensor-core time, which was not measured against
    the memory traffic that comes for it.
    """

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
        on_cpu = torch.device(device).type == "cpu"
        folded = copy.deepcopy(network).eval().requires_grad_(False)
        fold_batch_norm(folded)

        def stage(module: nn.Module) -> nn.Module:
            return _converted(with_fewer_products(module, dtype) if on_cpu else module, dtype)

        enlarging = on_cpu and type(folded.protonet) is FcnProtonet
        self.backbone = stage(folded.backbone)
        self.fpn = stage(folded.fpn)
        self.protonet = stage(EnlargingProtonet(folded.protonet) if enlarging else folded.protonet)
        self.head = stage(MergedHead(folded.head))
        self.keeps_features = network.keeps_features
        self.rescore_net = network.rescore_net
        if folded.rescore_net is not None and not needs_features(folded.rescore_net):
            self.rescore_net = MaskRescoring(stage(folded.rescore_net), dtype)
        self.mean, self.std = network.mean, network.std
        self.image_size = network.image_size
        # Decoding needs it in float32 whatever the rest is in.
        self.register_buffer("anchors", network.anchors, persistent=False)
        self.semantic = None
        self.eval()

    def prepared(self, x: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
        """Return the images channels-last and in the network's precision."""
        return x.to(self.dtype).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "B 3 S S"], clock: Clock = no_clock) -> Predictions:
        """Return raw predictions for normalised images, as float32 where they leave a stage."""
        return super().forward(x, clock)


class MergedHead(nn.Module):
    """`SharedHead` with its three branches as one convolution, a row of all values per anchor.

    With channels last, the convolution's output is the row of each anchor as it lies in memory:
    what remains is to put the levels behind one another, once instead of three times.
    """

    def __init__(self, head: SharedHead) -> None:
        super().__init__()
        self.shared = head.shared
        self.activation = head.activation
        self.widths = (4, head.num_classes + 1, head.k)
        self.merged = merged_branches([head.boxes, head.scores, head.coefficients], self.widths)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes [B, A, 4], class logits [B, A, C + 1] and coefficients [B, A, k]."""
        rows = [self.merged(F.relu(self.shared(level))) for level in levels]
        width = sum(self.widths)
        flat = [x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width) for x in rows]
        boxes, scores, coefficients = torch.split(torch.cat(flat, dim=1), list(self.widths), dim=2)
        if self.activation == "tanh":
            coefficients = torch.tanh(coefficients)
        # Here, where a compiler can join it to the copies above.
        return _widened(boxes), _widened(scores), _widened(coefficients)


class EnlargingProtonet(nn.Module):
    """`FcnProtonet` whose convolution at the large size is computed at the small one."""

    def __init__(self, protonet: FcnProtonet) -> None:
        super().__init__()
        self.before, self.prototypes = protonet.before, protonet.prototypes
        self.activation = protonet.activation
        self.after = UpsampledConvolution(protonet.after)

    def forward(self, p3: Float[Tensor, "B I h3 w3"]) -> Float[Tensor, "B h w k"]:
        """Return prototypes at twice the size of P3, channels last, as float32."""
        x = p3
        for conv in self.before:
            x = F.relu(conv(x))
        prototypes: Tensor = self.prototypes(F.relu(self.after(x)))
        if self.activation == "relu":
            prototypes = F.relu(prototypes)
        return _widened(prototypes.permute(0, 2, 3, 1))


class MaskRescoring(nn.Module):
    """A re-scoring network of soft masks alone, channels last and in the rest's precision."""

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, masks: Float[Tensor, "N 1 h w"]) -> Float[Tensor, "N C"]:
        """Return the predicted IoU of each mask for every class, as float32."""
        out: Tensor = self.net(masks.to(self.dtype, memory_format=torch.channels_last))
        return _widened(out)


def _widened(x: Tensor) -> Tensor:
    """Return halves as float32."""
    return x.float() if x.dtype in _HALVES else x


def merged_branches(branches: Sequence[nn.Conv2d], widths: Sequence[int]) -> nn.Conv2d:
    """Return one convolution with all outputs of each anchor together, branch after branch.

    Each branch has `widths` outputs an anchor, anchors one after another.
    """
    first = branches[0]
    anchors = first.out_channels // widths[0]
    merged = nn.Conv2d(
        first.in_channels,
        anchors * sum(widths),
        first.kernel_size,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        device=first.weight.device,
        dtype=first.weight.dtype,
    )
    pairs = list(zip(branches, widths, strict=True))
    weights, biases = [], []
    for branch, width in pairs:
        assert branch.bias is not None
        weights.append(branch.weight.reshape(anchors, width, *branch.weight.shape[1:]))
        biases.append(branch.bias.reshape(anchors, width))
    merged.weight = nn.Parameter(torch.cat(weights, 1).flatten(0, 1).detach())
    merged.bias = nn.Parameter(torch.cat(biases, 1).flatten(0, 1).detach())
    return merged


def _converted(stage: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return the stage, channels-last and in `dtype`."""
    half = dtype in _HALVES
    for part in stage.modules():
        if half and isinstance(part, DeformableConv2d) and part.widens_halves:
            continue
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            if tensor.is_floating_point():
                tensor.data = tensor.data.to(dtype)
    return stage.to(memory_format=torch.channels_last)
