"""What travels between stages: samples, targets, predictions, detections.

One file: they are made of one another, and every package imports them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import accumulate
from typing import Any, TypeAlias, TypeVar, overload

import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64, UInt8
from torch import Tensor

R = TypeVar("R")
# Of one tensor. Pinned memory comes in powers of two and is never given back: 100 masks of a
# 12-megapixel photo would keep 2 GiB.
MOST_PINNED_BYTES = 2**27
HALVES = (torch.bfloat16, torch.float16)
# P3 … P7 of a batch, each [B, c, side, side]; c is the same on all levels.
FeatureMaps: TypeAlias = tuple[Float[Tensor, "B c _ _"], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The objects of one training image, at the network's square input."""

    boxes: Float32[Tensor, "N 4"]  # corner fractions
    labels: Int64[Tensor, " N"]
    # 0 or 1. Side S (network size), or already the prototype size when the augmentation
    # rasterises small; the losses resize what is not at the size they need.
    masks: UInt8[Tensor, "N h w"]
    is_crowd: Bool[Tensor, " N"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets(Sequence[Target]):
    """The targets of a batch: a sequence of views of `objects`, which holds all in one piece."""

    objects: Target  # of all images, one after the other
    counts: tuple[int, ...]  # objects of each image
    # Of each object: its image, and its row among that image's. Made beside the counts, so that
    # nothing computed of them has to be sent to a device later.
    places: Int64[Tensor, "2 M"]

    @staticmethod
    def of(
        targets: Sequence[Target], join: Callable[[list[Tensor]], Tensor] = torch.cat
    ) -> "Targets":
        """Return the same targets in one piece, put together by `join`."""
        if isinstance(targets, Targets):
            return targets
        names = [field.name for field in fields(Target)]
        objects = {n: join([getattr(target, n) for target in targets]) for n in names}
        counts = tuple(len(target.labels) for target in targets)
        places = places_of(counts).to(targets[0].labels.device)
        return Targets(objects=Target(**objects), counts=counts, places=places)

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, image: int) -> Target: ...
    @overload
    def __getitem__(self, image: slice) -> list[Target]: ...
    def __getitem__(self, image: int | slice) -> Target | list[Target]:
        """Return the objects of one image, or of some."""
        if isinstance(image, slice):
            return [self[i] for i in range(len(self))[image]]
        end = list(accumulate(self.counts))[image]
        rows = slice(end - self.counts[image], end)
        return map_tensors(self.objects, lambda tensor: tensor[rows])

    def each(self, change: Callable[[Tensor], Tensor]) -> "Targets":
        """Return the same targets with each tensor changed."""
        return replace(self, objects=map_tensors(self.objects, change), places=change(self.places))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One augmented training image with its objects."""

    image: UInt8[Tensor, "S S 3"]  # RGB; normalised on the device
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRows:
    """Where a head has left the rows of the anchors, in memory with other rows between them."""

    number: Int32[Tensor, " R"]  # of each anchor's row, in their order
    tanh: bool  # to be taken of coefficients


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Raw outputs of the network, before decoding."""

    boxes: Float[Tensor, "B A 4"]  # regressions relative to `anchors`, not corner fractions
    class_logits: Float[Tensor, "B A C1"]  # background first, C1 = C + 1
    coefficients: Float[Tensor, "B A k"]  # after the head's activation
    prototypes: Float[Tensor, "B h w k"]  # after the protonet's activation
    anchors: Float32[Tensor, "A 4"]  # cxcywh fractions, not corners
    semantic: Float[Tensor, "B C h3 w3"] | None  # logits, in training mode only
    features: FeatureMaps | None = None  # only for a re-scoring network that needs them
    rows: HeadRows | None = None  # None: each row, also of `anchors`, is an anchor's, in order

    def in_order(self) -> "Predictions":
        """Return the same with a row for each anchor, in their order, halves as float32."""
        if self.rows is None:
            return self
        number, values = self.rows.number, (self.boxes, self.class_logits, self.coefficients)
        boxes, logits, coefficients = (widen(x.index_select(1, number)) for x in values)
        return replace(
            self,
            boxes=boxes,
            class_logits=logits,
            coefficients=coefficients.tanh() if self.rows.tanh else coefficients,
            anchors=self.anchors.index_select(0, number),
            rows=None,
        )

    def features_of(self, image: int) -> FeatureMaps | None:
        """Return the feature maps of one image, each [1, c, side, side] and float32."""
        if self.features is None:
            return None
        return tuple(level[image : image + 1].float() for level in self.features)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What an NMS kept: row numbers, labels and scores, best first."""

    anchor: Int64[Tensor, " K"]  # row of the boxes given to the NMS
    label: Int64[Tensor, " K"]
    score: Float[Tensor, " K"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Final detections of one image, in order of (unrescored) score."""

    boxes_px: Float[Tensor, "N 4"]  # integer-valued corners in image pixels
    scores: Float[Tensor, " N"]
    mask_scores: Float[Tensor, " N"]  # = scores without re-scoring
    labels: Int64[Tensor, " N"]
    masks: Bool[Tensor, "N H W"]

    def __len__(self) -> int:
        return len(self.labels)


def places_of(counts: Sequence[int]) -> Int64[Tensor, "2 M"]:
    """Return the image of each object, and its row there, where the images have so many."""
    image = [i for i, count in enumerate(counts) for _ in range(count)]
    row = [r for count in counts for r in range(count)]
    return torch.tensor([image, row], dtype=torch.int64)


def map_tensors(record: R, change: Callable[[Tensor], Tensor]) -> R:
    """Return a copy of a dataclass with each field that is a tensor changed."""
    values: Any = record
    changed: R = replace(values, **{n: change(value) for n, value in _tensors_of(record).items()})
    return changed


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors of a value in order: itself, or those of its parts or fields."""
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)


def to_host(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors on the host, having waited once for all of them.

    Those of a device arrive in pinned memory, which is copied to at the full speed of the bus and
    used again when they are gone; larger ones than `MOST_PINNED_BYTES` in ordinary memory.
    """
    copies = tuple(
        tensor.to("cpu", non_blocking=tensor.nbytes <= MOST_PINNED_BYTES) for tensor in tensors
    )
    for device in {tensor.device for tensor in tensors if tensor.is_cuda}:
        torch.cuda.current_stream(device).synchronize()
    return copies


def on_host(record: R) -> R:
    """Return a copy of a dataclass with its tensors on the host, having waited once for all."""
    copies = iter(to_host(*_tensors_of(record).values()))
    return map_tensors(record, lambda _: next(copies))


def _tensors_of(record: Any) -> dict[str, Tensor]:  # noqa: ANN401 - any dataclass
    every = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value for name, value in every.items() if isinstance(value, Tensor)}


def widen(x: Tensor) -> Tensor:
    """Return halves as float32, anything else as it is."""
    return x.float() if x.dtype in HALVES else x


def reading_is_free(tensor: Tensor) -> bool:
    """Return whether the host can read a number of the tensor without waiting for a device.

    On a CPU it can, and less is computed for it; on a device the same comes from fixed shapes.
    """
    return tensor.device.type == "cpu"


def needs_features(rescore_net: object) -> bool:
    """Return whether a re-scoring network, or its class, wants feature maps beside masks.

    Those that do say so by an attribute of this name, and are called with (masks, boxes, features
    of one image); all others with the masks alone.
    """
    return bool(getattr(rescore_net, "needs_features", False))
