"""Initial weights of backbone or detector, and the keys that may be missing or left over."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from yolact_bench.deform.layer import DeformableConv2d
from yolact_bench.errors import SpecError, hint
from yolact_bench.model.backbone.backbone import Backbone, Init
from yolact_bench.model.network import Yolact
from yolact_bench.ranges import ClassNames
from yolact_bench.slots import with_facts
from yolact_bench.weights.checkpoint import is_checkpoint
from yolact_bench.weights.state_file import counters_of, load_exactly, read_state
from yolact_bench.weights.tensors import casts
from yolact_bench.weights.transfer import fill_detector, weights_in
from yolact_bench.weights.unwrap import names_in, unwrap

log = logging.getLogger(__name__)

# What stands behind the last stage of a classification network.
CLASSIFIERS = ("fc.", "linear.", "classifier.")
# The reference's and our names of what only a whole detector has.
_DETECTORS = ("prediction_layers.0.bbox_layer.weight", "head.boxes.weight")
_NOTHING = torch.empty(0)


@with_facts(random=True)
def none(backbone: Backbone) -> None:
    """Leave the backbone at its random initialisation.

    Source: arXiv:1502.01852 (torchvision).
    Differs: DarkNet-53 starts as PyTorch's convolutions do.
    """


@with_facts(random=True)
def zero_gamma(backbone: Backbone) -> None:
    """Leave random weights, but let every residual block begin as the identity.

    The last batch norm of a block starts with weight 0. In a deep network of random weights the
    blocks otherwise amplify one another until, after few iterations, running statistics that lag
    behind give numbers that are not finite.

    Source: arXiv:1706.02677 §5.1.
    Differs: nothing.
    """
    for norm in backbone.residual_norms():
        nn.init.zeros_(norm.weight)


@with_facts(needs_imagenet=True)
def imagenet(backbone: Backbone, *, version: str = "IMAGENET1K_V1") -> None:
    """Load torchvision's ImageNet classification weights (downloaded once by torchvision).

    Raises:
        SpecError: the backbone has none in torchvision, or they cannot be downloaded.

    Source: torchvision.models `ResNet<depth>_Weights`; the reference trains from the same
    architecture's weights.
    Differs: for ResNet-101 the reference has another file, resnet101_reducedfc.pth.
    """
    if not backbone.imagenet:
        raise SpecError(
            "init.imagenet: torchvision has no ImageNet weights for this backbone; write "
            "init: {name: checkpoint, file: …} or init: {name: none}"
        )
    import torchvision

    choices = getattr(torchvision.models, backbone.imagenet)
    if version not in choices.__members__:
        known = choices.__members__
        raise SpecError(
            f"init.imagenet.version: no weights are named {version!r}{hint(version, known)}"
        )
    try:
        state = choices[version].get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise SpecError(
            f"init.imagenet: {backbone.imagenet} could not be downloaded "
            f"({error}); connect to the internet once, put the file at "
            f"{Path(torch.hub.get_dir()) / 'checkpoints'}, or write init: {{name: none}}"
        ) from error
    load_backbone(backbone, state, source=f"torchvision {version}")


@with_facts(own=("file", "sha256"))
def checkpoint(backbone: Backbone, *, file: str, sha256: str = "") -> None:
    """Load a state dict of this backbone from a file, ImageNet weights of the reference included.

    For resnets the keys are torchvision's (resnet50-19c8e357.pth, resnet101_reducedfc.pth); for
    DarkNet-53 they are the reference's (darknet53.pth). What a file expects of its input, RGB
    normalised by ImageNet's mean and deviation or RGB / 255, is the backbone's `mean` and `std`.

    `sha256` stands for the file in digests and is filled in when a run is resolved.

    Raises:
        SpecError: the file is missing, is not a state dict, or has other keys or shapes.

    Source: dbolya/yolact@902073d backbone.py, `init_backbone`.
    Differs: keys that are missing or left over are refused; the reference tolerates them.
    """
    where = "init.checkpoint.file"
    state = read_state(Path(file), where=where)
    if is_checkpoint(state) or any(name.endswith(_DETECTORS) for name in names_in(state)):
        raise SpecError(
            f"{where}: {file} holds a whole detector and not a backbone; to start from all of it "
            "write init: {name: detector, file: …}, or give the ImageNet weights that it was "
            "trained from"
        )
    own = backbone.state_dict().keys()
    weights = unwrap(state, lambda name: not own.isdisjoint(backbone.own_names({name: _NOTHING})))
    if weights is None:
        raise SpecError(f"{where}: {file} holds no tensor of this backbone; give its weights")
    if said := "; ".join(filter(None, (weights.note, casts(weights.tensors)))):
        log.info("%s: %s", file, said)
    load_backbone(backbone, weights.tensors, source=file)


@with_facts(fills_network=True, own=("file", "sha256", "classes"))
def detector(
    network: Yolact,
    names: Sequence[str],
    *,
    file: str,
    heads: Literal["auto", "new"] = "auto",
    classes: ClassNames = (),
    sha256: str = "",
) -> None:
    """Load a whole detector of other classes: a checkpoint, a released file, an imported folder.

    Of the layers with outputs for each class, `heads: auto` keeps the outputs of background and of
    classes that have the same name in the file; the others stay at their random initialisation,
    with `heads: new` all of them. Both lists are logged. Everything else must fit.

    `classes` are the names of the file's classes in the order of its labels, `sha256` stands for
    the file in digests. Both are filled in when a run is resolved, the first where the file or what
    lies beside it says them.

    Raises:
        SpecError: no such file, one that has changed since, no names of its classes, other shapes.

    Source: no paper; what dbolya/yolact issues #36 and #324 ask for.
    Differs: nothing.
    """
    path = weights_in(Path(file))
    fill_detector(network, names, path=path, heads=heads, classes=classes, sha256=sha256)


INITS: Mapping[str, Init] = {
    "none": none,
    "zero_gamma": zero_gamma,
    "imagenet": imagenet,
    "checkpoint": checkpoint,
    "detector": detector,
}


def load_backbone(backbone: Backbone, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load `state`, allowing exactly: a classifier too many, and what a DCN adds missing.

    A deformable layer takes the weight of the plain one; its offsets stay at zero.

    Raises:
        SpecError: any other missing or unexpected key, or a shape that differs.

    Source: dbolya/yolact@902073d backbone.py, `init_backbone`, which tolerates everything.
    """
    named = backbone.own_names(state)
    kept = {key: value for key, value in named.items() if not key.startswith(CLASSIFIERS)}
    may_miss = counters_of(backbone) | {
        f"{name}.{key}"
        for name, module in backbone.named_modules()
        if isinstance(module, DeformableConv2d)
        for key in ("bias", "offset_mask.weight", "offset_mask.bias")
    }
    fault = load_exactly(backbone, kept, source=source, may_miss=may_miss)
    if fault:
        raise SpecError(
            f"init: {source} does not fit the backbone: {fault}; write the one it is of"
        )
