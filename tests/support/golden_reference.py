"""Recorded outputs of dbolya/yolact@902073d, and how far ours may be from them.

tests/golden/<config>.npz, .masks.json and .train.json were recorded on a CPU in float32 with the
deterministic weights, images and batch that reference_weights.py and reference_inputs.py make. The
limits lie between the noise that was seen (another resize, other kernels, float64) and what
mistakes cause.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as rle
from torch import Tensor

from tests.golden import reference_inputs as inputs
from tests.golden import reference_weights as weights
from tests.support.paths import GOLDEN
from yolact_bench.build import load_detector
from yolact_bench.detector import Detector
from yolact_bench.model.batch_norm import set_training_mode
from yolact_bench.shapes import Detections, Predictions, Target

PRESET_OF = {"yolact_resnet50": "yolact_r50", "yolact_plus_resnet50": "yolact_plus_r50"}
CONFIGS = tuple(PRESET_OF)

OUTPUT_LIMIT = 2e-4  # of the largest value
SCORE_LIMIT = 1e-4
MASK_LIMIT = 5  # px
LOSS_LIMITS = {"box": 1e-5, "mask": 1e-5, "class": 1e-5, "semantic": 1e-5, "mask_iou": 1e-4}
LOSS_NAMES = {"box": "B", "mask": "M", "class": "C", "semantic": "S", "mask_iou": "I"}

_folder = tempfile.TemporaryDirectory(prefix="golden-")


@cache
def recorded(config: str) -> Mapping[str, NDArray[Any]]:
    with np.load(GOLDEN / f"{config}.npz") as file:
        return dict(file)


@cache
def meta(config: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(str(recorded(config)["meta"]))
    return facts


@cache
def recorded_masks(config: str) -> dict[str, list[list[dict[str, Any]]]]:
    masks: dict[str, list[list[dict[str, Any]]]] = json.loads(
        (GOLDEN / f"{config}.masks.json").read_text()
    )
    return masks


@cache
def recorded_training(config: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((GOLDEN / f"{config}.train.json").read_text())
    return facts


@cache
def reference_shapes(config: str) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = json.loads((GOLDEN / "keys" / f"{config}.json").read_text())
    return shapes


def released_file(config: str, *, background: float | None = None) -> Path:
    """A file as the reference would have released it; `background` is a bias of the classes."""
    path = Path(_folder.name) / f"{config}_{'54' if background is None else '0'}_800000.pth"
    if not path.is_file():
        arrays = weights.make_state_dict(
            reference_shapes(config), meta(config)["seed"], conf_bg=background
        )
        torch.save({key: torch.as_tensor(value) for key, value in arrays.items()}, path)
    return path


@cache
def detector(config: str) -> Detector:
    return load_detector(PRESET_OF[config], weights=released_file(config))


@cache
def images() -> list[NDArray[np.uint8]]:
    made: list[NDArray[np.uint8]] = inputs.make_images()
    return made


def training_detector(config: str) -> Detector:
    """As the reference recorded its losses: no bias for the background, else nothing is mined."""
    return load_detector(PRESET_OF[config], weights=released_file(config, background=0.0))


@cache
def training_batch() -> tuple[Tensor, list[Target]]:
    """Normalised images and their objects; nothing is resized."""
    batch = inputs.make_train_batch(550)
    mean, std = (torch.tensor(v) for v in ((123.68, 116.78, 103.94), (58.40, 57.12, 57.38)))
    pixels = torch.stack([torch.from_numpy(one["image"]).float() for one in batch])
    targets = [
        Target(
            boxes=torch.from_numpy(one["boxes"]),
            labels=torch.from_numpy(one["classes"]),
            masks=torch.from_numpy(one["masks"]),
            is_crowd=torch.from_numpy(one["classes"] < 0),
        )
        for one in batch
    ]
    return ((pixels - mean) / std).permute(0, 3, 1, 2).contiguous(), targets


def training_forward(
    config: str, *, frozen: bool, only: str | None = None
) -> tuple[Detector, Predictions]:
    """The detector and its raw outputs of the batch, ready for a backward pass.

    With `only`, no parameter but those whose names start so takes part, which saves the rest.
    """
    made = training_detector(config)
    set_training_mode(made.network, frozen_batch_norm=frozen)
    if only is not None:
        for name, parameter in made.network.named_parameters():
            parameter.requires_grad_(name.startswith(only))
    raw: Predictions = made.network(training_batch()[0])
    return made, raw


def output_faults(config: str, outputs: Mapping[str, Tensor]) -> list[str]:
    """Names of outputs of image 0 that differ from the recorded ones, or in shape."""
    faults = []
    for name, ours in outputs.items():
        kept = {key: recorded(config)[f"image0/{name}/{key}"] for key in ("shape", "index")}
        value = recorded(config)[f"image0/{name}/value"]
        stats = recorded(config)[f"image0/{name}/stats"]
        if list(ours.shape) != kept["shape"].tolist():
            faults.append(f"{name}: shape {list(ours.shape)}")
            continue
        flat = ours.detach().flatten().numpy()
        largest = np.abs(value).max()
        off = np.abs(flat[kept["index"]] - value).max() / largest
        norm = float(np.linalg.norm(flat.astype(np.float64)))
        if not (off <= OUTPUT_LIMIT and abs(norm / stats[1] - 1) <= OUTPUT_LIMIT):
            faults.append(f"{name}: {off:.1e} of the largest value, norm {norm} for {stats[1]}")
    return faults


def detection_faults(config: str, image: int, mode: str, found: Detections) -> list[str]:
    """What differs in the detections of an image, paired by class and box: scores may tie."""
    want = {
        name.rsplit("/", 1)[-1]: value
        for name, value in recorded(config).items()
        if name.startswith(f"image{image}/{mode}/")
    }
    ours = _order(found.labels.numpy(), found.boxes_px.numpy(), found.scores.numpy())
    theirs = _order(want["classes"], want["boxes"], want["scores"])
    if len(ours) != len(theirs):
        return [f"{len(ours)} detections for {len(theirs)}"]
    pairs = list(zip(ours, theirs, strict=True))
    faults = [f"class or box of {b}" for a, b in pairs if not _same_box(found, a, want, b)]
    if faults:
        return faults
    first, second = np.array(ours), np.array(theirs)
    columns = [("scores", found.scores, want["scores"])]
    mask_scores = want.get("mask_scores", want["scores"])
    columns.append(("mask_scores", found.mask_scores, mask_scores))
    for name, have, wanted in columns:
        if not np.abs(have.numpy()[first] - wanted[second]).max() <= SCORE_LIMIT:
            faults.append(name)
    masks = recorded_masks(config)[mode][image]
    pixels = [_mask_difference(found.masks[a], masks[b]) for a, b in pairs]
    if max(pixels) > MASK_LIMIT:
        faults.append(f"masks by up to {max(pixels)} px")
    if int((found.scores > 0.05).sum()) != int(want["over_005"]):
        faults.append("number of scores over 0.05")
    return faults


Rows = NDArray[Any]


def _order(classes: Rows, boxes: Rows, scores: Rows) -> list[int]:
    return sorted(range(len(classes)), key=lambda i: (classes[i], *boxes[i].tolist(), -scores[i]))


def _same_box(found: Detections, a: int, want: Mapping[str, Any], b: int) -> bool:
    same: bool = found.labels[a] == want["classes"][b] and (
        found.boxes_px[a].tolist() == want["boxes"][b].tolist()
    )
    return bool(same)


def _mask_difference(ours: Tensor, theirs: dict[str, Any]) -> int:
    return int((np.asarray(ours) != rle.decode(theirs).astype(bool)).sum())


def loss_faults(want: Mapping[str, float], terms: Mapping[str, Tensor]) -> list[str]:
    """Terms of the loss that differ; a term too many or too few is one."""
    if {LOSS_NAMES[name] for name in terms} != set(want):
        return [f"terms {sorted(terms)}"]
    return [
        f"{name} {term.item()} for {want[LOSS_NAMES[name]]}"
        for name, term in terms.items()
        if not abs(term.item() / want[LOSS_NAMES[name]] - 1) <= LOSS_LIMITS[name]
    ]


def gradient_faults(
    want: Mapping[str, float], gradients: Mapping[str, Tensor | None], limit: float
) -> Sequence[str]:
    """Parameters, by our names, whose gradient has another norm."""
    faults = []
    for name, norm in want.items():
        gradient = gradients.get(name)
        if gradient is None or not abs(float(gradient.norm()) / norm - 1) <= limit:
            faults.append(f"{name}: {None if gradient is None else float(gradient.norm())}")
    return faults
