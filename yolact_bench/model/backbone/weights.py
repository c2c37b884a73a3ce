"""Initial weights of the backbone, and the exact keys that may be missing or left over."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from yolact_bench.errors import SpecError
from yolact_bench.model.backbone.deform import DeformableConv2d
from yolact_bench.model.backbone.resnet import ResNet


def none(backbone: nn.Module) -> None:
    """Leave the backbone at its random initialisation. Source: arXiv:1502.01852 (torchvision)."""


def imagenet(backbone: nn.Module, *, version: str = "IMAGENET1K_V1") -> None:
    """Load torchvision's ImageNet classification weights (downloaded once by torchvision).

    Source: torchvision.models `ResNet<depth>_Weights`; the reference trains from the same
    architecture's weights.

    Raises:
        SpecError: the backbone has none in torchvision, or they cannot be downloaded.
    """
    if not isinstance(backbone, ResNet):
        raise SpecError(
            "init.imagenet: torchvision has ImageNet weights for resnets only; write "
            "init: {name: checkpoint, file: …} or init: {name: none}"
        )
    import torchvision

    choices = getattr(torchvision.models, f"ResNet{backbone.depth}_Weights")
    if version not in choices.__members__:
        raise SpecError(
            f"init.imagenet.version: no weights are named {version!r}; there is: "
            f"{', '.join(choices.__members__)}"
        )
    try:
        state = choices[version].get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise SpecError(
            f"init.imagenet: the weights of resnet{backbone.depth} could not be downloaded "
            f"({error}); connect to the internet once, put the file at "
            f"{Path(torch.hub.get_dir()) / 'checkpoints'}, or write init: {{name: none}}"
        ) from error
    load_backbone(backbone, state, source=f"torchvision {version}")


def checkpoint(backbone: nn.Module, *, file: str, sha256: str = "") -> None:
    """Load a state dict of this backbone from a file (torchvision's key names for resnets).

    `sha256` stands for the file in digests and is filled in when a run is resolved.

    Source: ours.

    Raises:
        SpecError: the file is missing, is no state dict, or has other keys or shapes.
    """
    path = Path(file)
    if not path.is_file():
        raise SpecError(f"init.checkpoint.file: no file at {file}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for what is not a checkpoint
        raise SpecError(f"init.checkpoint.file: {file} is not a PyTorch state dict") from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise SpecError(f"init.checkpoint.file: {file} is not a plain state dict of tensors")
    load_backbone(backbone, state, source=file)


INITS: Mapping[str, Callable[..., None]] = {
    "none": none,
    "imagenet": imagenet,
    "checkpoint": checkpoint,
}


def load_backbone(backbone: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load `state`, allowing exactly: a classifier too many, and what a DCN adds missing.

    Raises:
        SpecError: any other missing or unexpected key, or a shape that differs.
    """
    kept = {key: value for key, value in state.items() if not key.startswith("fc.")}
    own = backbone.state_dict()
    may_miss = {
        f"{name}.{key}"
        for name, module in backbone.named_modules()
        if isinstance(module, DeformableConv2d)
        for key in ("bias", "offset_mask.weight", "offset_mask.bias")
    } | {key for key in own if key.endswith("num_batches_tracked")}
    missing = sorted(set(own) - set(kept) - may_miss)
    unexpected = sorted(set(kept) - set(own))
    wrong = sorted(k for k in set(own) & set(kept) if own[k].shape != kept[k].shape)
    if missing or unexpected or wrong:
        raise SpecError(
            f"init: {source} does not fit the backbone: "
            f"missing {missing[:3]} ({len(missing)}), unexpected {unexpected[:3]} "
            f"({len(unexpected)}), other shapes {wrong[:3]} ({len(wrong)})"
        )
    backbone.load_state_dict({**own, **kept})
