"""A declared detection load, imposed on a network that finds nothing by itself.

The network runs as it is and is timed as it is. What it returns is replaced, by reference, with
tensors that lie ready; between calls, untimed, only the rows that differ from image to image are
written. The tensors keep their places, so a captured graph reads them too.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from yolact_bench.clock import Clock, no_clock
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.geometry.boxes import encode
from yolact_bench.loads import Load
from yolact_bench.runtime.runtime import Program
from yolact_bench.shapes import Predictions

# Probabilities: of what survives, falling from the first to the second; of what it suppresses,
# just above the score threshold of every preset, 0.05, so that soft suppression ends it too.
_BEST, _WORST, _SUPPRESSED = 0.95, 0.3, 0.06
_BACKGROUND, _NEVER = 12.0, -30.0  # logits
_BOX_IN_CELL = 0.96  # boxes lie in a grid and share no pixel: no NMS suppresses one by another
_REPLACED = ("boxes", "class_logits", "coefficients")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRows:
    """The anchors of one image that are candidates, and the values of their rows."""

    anchors: Int64[Tensor, " M"]
    boxes: Float[Tensor, "M 4"]
    class_logits: Float[Tensor, "M C1"]
    coefficients: Float[Tensor, "M k"]


class LoadedNetwork(Program):
    """A network whose predictions are replaced by those of a load, right after it has run."""

    def __init__(self, network: Program, like: Predictions, per_image: Sequence[LoadRows]) -> None:
        """Take the shapes, types and device from `like`, predictions for one batch."""
        super().__init__()
        self.network = network
        self._per_image = per_image
        replaced: dict[str, Any] = {n: torch.zeros_like(getattr(like, n)) for n in _REPLACED}
        self._predictions = replace(
            like, **replaced, prototypes=_prototypes(like.prototypes), features=None
        )
        self._predictions.class_logits[..., 0] = _BACKGROUND
        self._written: list[LoadRows] = []

    def forward(self, batch: Tensor, clock: Clock = no_clock) -> Predictions:
        """Return the load's predictions, with the features that the network made."""
        predictions: Predictions = self.network(batch, clock=clock)
        return replace(self._predictions, features=predictions.features)

    @torch.inference_mode()
    def write(self, images: Sequence[int]) -> None:
        """Write the rows of a batch: the places of its images among all images."""
        for place, rows in enumerate(self._written):
            for name in _REPLACED:
                getattr(self._predictions, name)[place, rows.anchors] = 0
            self._predictions.class_logits[place, rows.anchors, 0] = _BACKGROUND
        self._written = [self._per_image[image % len(self._per_image)] for image in images]
        for place, rows in enumerate(self._written):
            for name in _REPLACED:
                target = getattr(self._predictions, name)
                target[place, rows.anchors] = getattr(rows, name).to(target.dtype)


@contextmanager
def impose_load(
    detector: Detector, load: Load, batch: Float[Tensor, "B 3 S S"], *, images: int
) -> Iterator[LoadedNetwork]:
    """Replace what the detector's network predicts by the load, until the context ends.

    `batch` is any input of the size that will be timed; `images` how many take turns.

    Raises:
        SpecError: the load has more detections than the network has anchors.
    """
    network = detector.network
    with torch.inference_mode():
        like = detector.predict(batch)
        rows = [load_rows(load, image, like) for image in range(images)]
        loaded = LoadedNetwork(network, like, rows).eval()
    detector.network = loaded
    try:
        yield loaded
    finally:
        detector.network = network


def load_rows(load: Load, image: int, like: Predictions) -> LoadRows:
    """Return the candidates of one image; the same for the same load, image and shapes.

    Raises:
        SpecError: the load has more detections than the network has anchors.
    """
    count, num_anchors = load.of(image), like.anchors.shape[0]
    if count > num_anchors:
        raise SpecError(
            f"load {load.name}: {count} detections, but the network has {num_anchors} anchors; "
            f"write constant_{num_anchors} or fewer, or a larger image_size"
        )
    total = min(count * load.candidates_per_detection, num_anchors)
    device, num_classes = like.anchors.device, like.class_logits.shape[-1] - 1
    every = torch.arange(total, device=device)
    objects = every % max(count, 1)  # the first `count` survive
    anchors = every * num_anchors // max(total, 1)
    random = torch.Generator().manual_seed(image)
    side = max(2, math.ceil(math.sqrt(count)))  # boxes lie in different cells of a grid
    cells = torch.randperm(side * side, generator=random)[:count]
    corner = torch.stack([cells % side, cells // side], 1).float()
    boxes = (torch.cat([corner, corner + _BOX_IN_CELL], 1) / side).to(device)[objects]
    probability = torch.full((total,), _SUPPRESSED, device=device)
    probability[:count] = torch.linspace(_BEST, _WORST, count, device=device)
    logits = torch.full((total, num_classes + 1), _NEVER, device=device)
    logits[:, 0] = 0
    labels = torch.randint(num_classes, (max(count, 1),), generator=random).to(device)[objects]
    logits[every, 1 + labels] = probability.logit()
    coefficients = 2 * torch.rand(max(count, 1), like.coefficients.shape[-1], generator=random) - 1
    coefficients[:, 0] = 1  # its prototype is 1 everywhere: about half of each box is mask
    return LoadRows(
        anchors=anchors,
        boxes=encode(boxes, like.anchors[anchors]),
        class_logits=logits,
        coefficients=coefficients.to(device)[objects],
    )


def _prototypes(like: Float[Tensor, "B h w k"]) -> Float[Tensor, "B h w k"]:
    """Return smooth fields, the first of them constant, as a trained network's are."""
    _, height, width, k = like.shape
    down = torch.linspace(0, 1, height)[:, None, None]
    across = torch.linspace(0, 1, width)[None, :, None]
    waves = torch.arange(k)
    angle = 2.4 * waves  # spreads the directions
    fields = torch.sin((4 + waves) * (down * angle.cos() + across * angle.sin()) + waves).relu()
    fields[..., 0] = 1
    return fields.to(like).expand_as(like).contiguous()
