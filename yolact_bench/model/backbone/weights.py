"""Initial weights of the backbone, and the exact keys that may be missing or left over."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from yolact_bench.deform import DeformableConv2d
from yolact_bench.errors import SpecError
from yolact_bench.model.backbone.darknet import DarkNetBlock
from yolact_bench.model.backbone.resnet import ResNet
from yolact_bench.model.weights.released import our_key
from yolact_bench.model.weights.state_file import counters_of, load_exactly, read_state, tensors_of
from yolact_bench.slots import with_facts

# What stands behind the last stage of a classification network.
CLASSIFIERS = ("fc.", "linear.", "classifier.")


@with_facts(random=True)
def none(backbone: nn.Module) -> None:
    """Leave the backbone at its random initialisation. Source: arXiv:1502.01852 (torchvision)."""


@with_facts(random=True)
def zero_gamma(backbone: nn.Module) -> None:
    """Leave random weights, but let every residual block begin as the identity.

    The last batch norm of a block starts with weight 0. In a deep network of random weights the
    blocks otherwise amplify one another until, after few iterations, running statistics that lag
    behind give numbers that are not finite.

    Source: arXiv:1706.02677 §5.1.
    """
    for module in backbone.modules():
        last = _last_norm(module)
        if last is not None:
            nn.init.zeros_(last.weight)


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
    """Load a state dict of this backbone from a file, ImageNet weights of the reference included.

    For resnets the keys are torchvision's (resnet50-19c8e357.pth, resnet101_reducedfc.pth); for
    DarkNet-53 they are the reference's (darknet53.pth). What a file expects of its input, RGB
    normalised by ImageNet's mean and deviation or RGB / 255, is the backbone's `mean` and `std`.

    `sha256` stands for the file in digests and is filled in when a run is resolved.

    Source: dbolya/yolact@902073d backbone.py, `init_backbone`.

    Raises:
        SpecError: the file is missing, is no state dict, or has other keys or shapes.
    """
    where = "init.checkpoint.file"
    state = tensors_of(read_state(Path(file), where=where), source=file, where=where)
    if any(key.startswith("backbone.") for key in state):
        raise SpecError(
            f"{where}: {file} holds a whole detector and not a backbone; give it as weights, or "
            "give the ImageNet weights that it was trained from"
        )
    load_backbone(backbone, _darknet_keys(state), source=file)


INITS: Mapping[str, Callable[..., None]] = {
    "none": none,
    "zero_gamma": zero_gamma,
    "imagenet": imagenet,
    "checkpoint": checkpoint,
}


def load_backbone(backbone: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load `state`, allowing exactly: a classifier too many, and what a DCN adds missing.

    A deformable layer takes the weight of the plain one; its offsets stay at zero.

    Raises:
        SpecError: any other missing or unexpected key, or a shape that differs.

    Source: dbolya/yolact@902073d backbone.py, `init_backbone`, which tolerates everything.
    """
    kept = {key: value for key, value in state.items() if not key.startswith(CLASSIFIERS)}
    may_miss = counters_of(backbone) | {
        f"{name}.{key}"
        for name, module in backbone.named_modules()
        if isinstance(module, DeformableConv2d)
        for key in ("bias", "offset_mask.weight", "offset_mask.bias")
    }
    fault = load_exactly(backbone, kept, may_miss=may_miss)
    if fault:
        raise SpecError(f"init: {source} does not fit the backbone: {fault}")


def _last_norm(module: nn.Module) -> nn.BatchNorm2d | None:
    """Return the batch norm that ends the residual branch of a block; None for what is none."""
    if isinstance(module, Bottleneck):
        return module.bn3  # type: ignore[no-any-return]
    if isinstance(module, BasicBlock):
        return module.bn2  # type: ignore[no-any-return]
    if isinstance(module, DarkNetBlock):
        return next(m for m in module.conv2 if isinstance(m, nn.BatchNorm2d))
    return None


def _darknet_keys(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the reference's keys of a DarkNet-53 by our names; those of a resnet as they are."""
    if not any(key.startswith("_preconv.") for key in state):
        return state
    ours = {key: our_key(f"backbone.{key}") or f"backbone.{key}" for key in state}
    return {ours[key].removeprefix("backbone."): value for key, value in state.items()}
