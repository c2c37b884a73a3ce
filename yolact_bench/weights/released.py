"""Released YOLACT weights: which configuration a file holds, and its tensors by our names.

A released file is a bare state dict. Every key is either mapped by one of `KEY_RULES`, or one of
the `LEFTOVERS` that the reference's own loader drops, or an error.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from yolact_bench.errors import SpecError, word_list
from yolact_bench.model.backbone import Block
from yolact_bench.model.backbone.dcn import every_block, every_nth
from yolact_bench.weights.released_keys import HEAD, KEY_RULES, LEFTOVERS
from yolact_bench.weights.tensors import NAMED
from yolact_bench.weights.unwrap import unwrap

_RESNET101_BLOCKS = (3, 4, 23, 3)
_RESNET50_BLOCKS = (3, 4, 6, 3)
_BACKBONES: Mapping[tuple[int, ...], str] = {
    _RESNET50_BLOCKS: "resnet50",
    _RESNET101_BLOCKS: "resnet101",
    (2, 3, 9, 9, 5): "darknet53",  # with the stride-2 convolution that opens each stage
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The configuration that keys and shapes show."""

    backbone: str
    deformable: frozenset[Block] = frozenset()
    num_anchors: int = 3  # per cell
    num_classes: int = 80
    k: int = 32
    rescores: bool = False

    def __str__(self) -> str:
        placed = f"{len(self.deformable)} deformable layers" if self.deformable else "no DCN"
        net = "a" if self.rescores else "no"
        return (
            f"{self.backbone}, {placed}, {self.num_anchors} anchors a cell, {self.num_classes} "
            f"classes, {self.k} prototypes, {net} mask-IoU network"
        )


_PLUS_R101 = Signature(
    backbone="resnet101",
    deformable=every_nth(_RESNET101_BLOCKS, n=3),
    num_anchors=9,
    rescores=True,
)
_PLUS_R50 = Signature(
    backbone="resnet50", deformable=every_block(_RESNET50_BLOCKS), num_anchors=9, rescores=True
)

# Configuration of the reference → our preset, and what its weights look like.
# Source: dbolya/yolact@902073d data/config.py.
RELEASED: Mapping[str, tuple[str, Signature]] = {
    "yolact_base": ("yolact_r101", Signature(backbone="resnet101")),
    "yolact_im400": ("yolact_r101_im400", Signature(backbone="resnet101")),
    "yolact_im700": ("yolact_r101_im700", Signature(backbone="resnet101")),
    "yolact_resnet50": ("yolact_r50", Signature(backbone="resnet50")),
    "yolact_darknet53": ("yolact_darknet53", Signature(backbone="darknet53")),
    "yolact_resnet50_pascal": ("yolact_r50_sbd", Signature(backbone="resnet50", num_classes=20)),
    "yolact_plus_base": ("yolact_plus_r101", _PLUS_R101),
    "yolact_plus_resnet50": ("yolact_plus_r50", _PLUS_R50),
}


def to_ours(state: Mapping[str, Tensor], *, source: object) -> dict[str, Tensor]:
    """Return the tensors of a released file by our names, leftovers dropped.

    Raises:
        SpecError: a key that no rule maps.

    Source: dbolya/yolact@902073d yolact.py, `Yolact.load_weights`.
    """
    kept = [key for key in state if not any(leftover.fullmatch(key) for leftover in LEFTOVERS)]
    ours = {key: our_key(key) for key in kept}
    if unmapped := [key for key, name in ours.items() if name is None]:
        keys = word_list(unmapped, most=NAMED)
        raise SpecError(f"weights: {source} {what_else(state)}; unknown keys: {keys}")
    return {name: state[key] for key, name in ours.items() if name is not None}


def our_key(key: str) -> str | None:
    """Return our name of a key of the reference, None if it has none."""
    matches = ((pattern.fullmatch(key), change) for pattern, change in KEY_RULES)
    return next((change(match) for match, change in matches if match), None)


def is_released_name(key: str) -> bool:
    """Return whether the reference has a tensor of this name."""
    return our_key(key) is not None


def find_released(state: Mapping[str, object]) -> str:
    """Return a preset with the classes of the released file that is in `state`, or "".

    Of presets with equal tensors it is the first: their classes are the same.
    """
    weights = unwrap(state, is_released_name)
    try:
        signature = None if weights is None else signature_of(weights.tensors, source="")
    except SpecError:
        return ""
    return next((name for name, wanted in RELEASED.values() if wanted == signature), "")


def recognise(state: Mapping[str, Tensor], *, file_name: str) -> str:
    """Return the preset that a released file is for, by keys and shapes, then by its name.

    Raises:
        SpecError: no released configuration has these, or several have and the name names none.
    """
    signature = signature_of(state, source=file_name)
    fitting = [preset for preset, wanted in RELEASED.values() if wanted == signature]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise SpecError(
            f"weights: {file_name} holds {signature}, which is none of the released "
            "configurations; say what it is with a preset or a run.yaml (--arm)"
        )
    by_name = preset_named(file_name)
    if by_name in fitting:
        return by_name
    raise SpecError(
        f"weights: {file_name} can be any of {', '.join(fitting)}, which have equal keys; say "
        "which with --arm PRESET, or give it its released name back, such as "
        "yolact_im700_54_800000.pth"
    )


def preset_named(file_name: str) -> str | None:
    """Return the preset that a name `<config>_<epoch>_<iteration>.pth` names, if any.

    Source: dbolya/yolact@902073d utils/functions.py, `SavePath`.
    """
    match = re.fullmatch(r"(.+)_\d+_\d+(?:_interrupt)?\.pth", file_name)
    config = match[1] if match else file_name.removesuffix(".pth")
    return RELEASED[config][0] if config in RELEASED else None


def signature_of(state: Mapping[str, Tensor], *, source: object) -> Signature:
    """Return the configuration that the keys and shapes of a released file show.

    Raises:
        SpecError: not a released file: heads or a known backbone are missing.
    """
    widths = {name: len(state.get(f"prediction_layers.0.{name}.weight", ())) for name in HEAD}
    num_anchors = widths["bbox_layer"] // 4
    backbone = _BACKBONES.get(_blocks(state), "")
    if not num_anchors or not backbone:
        raise SpecError(f"weights: {source} {what_else(state)}")
    offsets = re.compile(r"backbone\.layers\.(\d)\.(\d+)\.conv2\.conv_offset_mask\.weight")
    placed = (match for match in map(offsets.fullmatch, state) if match)
    return Signature(
        backbone=backbone,
        deformable=frozenset((int(match[1]), int(match[2])) for match in placed),
        num_anchors=num_anchors,
        num_classes=widths["conf_layer"] // num_anchors - 1,
        k=widths["mask_layer"] // num_anchors,
        rescores=any(key.startswith("maskiou_net.") for key in state),
    )


def _blocks(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Return the number of blocks in every stage."""
    counts: dict[int, int] = {}
    for match in map(re.compile(r"backbone\.layers\.(\d)\.(\d+)\..+").fullmatch, state):
        if match:
            counts[int(match[1])] = max(counts.get(int(match[1]), 0), int(match[2]) + 1)
    return tuple(counts[stage] for stage in sorted(counts))


def what_else(state: Iterable[str]) -> str:
    """Return what a file of these names is, that is not a released one."""
    state = list(state)
    if not state:
        return "holds no tensors; give a checkpoint of yolact-bench or a released YOLACT file"
    if "head.scores.weight" in state:
        return "holds our own names but is not a checkpoint of yolact-bench; give its final.pt"
    if "prediction_layers.0.bbox_layer.weight" in state:
        return "is of YOLACT's format, but of no configuration known here; give a released file"
    if any(key.startswith(("layer1.", "_preconv.")) for key in state):
        return "holds a backbone alone; train from it with init: {name: checkpoint, file: …}"
    return "is neither a checkpoint of yolact-bench nor a released YOLACT file; give one of these"
