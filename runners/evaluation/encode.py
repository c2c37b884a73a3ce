"""Detections → the lines of COCO's result files, in this process or in helpers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import fields
from queue import SimpleQueue
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runners.evaluation.coco.index import Entry
from runners.evaluation.coco.masks import Rle
from runners.evaluation.files import Lines, as_lines
from runners.system.ahead import in_order
from runners.system.helper_process import HelperProcess
from yolact_bench.errors import ArmError
from yolact_bench.geometry.run_lengths import Toggles, mask_run_lengths, mask_toggles

if TYPE_CHECKING:
    from yolact_bench.detect.pipeline import SoftDetections

Float32 = NDArray[np.float32]

_AHEAD = 2  # images of each process that wait to be encoded


def encode_lines(
    detections: Iterable[tuple["SoftDetections", int]],
    category_ids: Sequence[int],
    encoders: "Encoders | None" = None,
) -> Iterator[Lines]:
    """Return the lines of each image, given as its detections and image id, in order.

    With `encoders` helpers make them, from the same numbers in the same way, while the network
    sees the next images.

    Raises:
        ArmError: a score is not finite, or a process died.
    """
    if encoders is None:
        return (lines_of(in_image, image_id, category_ids) for in_image, image_id in detections)
    waits = (encoders.submit(*one, category_ids).result for one in detections)
    return in_order(waits, ahead=_AHEAD * encoders.processes)


class Encoders:
    """Helper processes that make lines, each with a thread here that sends and waits.

    So the main thread never waits for bytes to move.
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._threads = ThreadPoolExecutor(max_workers=processes, thread_name_prefix="encode")
        self._stack = ExitStack()
        self._helpers = [self._stack.enter_context(HelperProcess()) for _ in range(processes)]
        self._idle: SimpleQueue[HelperProcess] = SimpleQueue()
        for helper in self._helpers:
            self._idle.put(helper)

    def __enter__(self) -> "Encoders":
        return self

    def submit(
        self, detections: "SoftDetections", image_id: int, category_ids: Sequence[int]
    ) -> Future[Lines]:
        soft, size = detections.soft_masks, (detections.height, detections.width)
        masks: Tensor | Toggles = soft
        if soft.is_cuda:
            # Here, not in a thread: it would wait for the next images as well.
            masks = mask_toggles(soft, *size, threshold=detections.mask_threshold)
        on_host = detections.without_masks().cpu()
        return self._threads.submit(self._encode, on_host, masks, image_id, tuple(category_ids))

    def _encode(
        self,
        detections: "SoftDetections",
        masks: Tensor | Toggles,
        image_id: int,
        category_ids: Sequence[int],
    ) -> Lines:
        # Arrays instead of tensors: those would go through files that are shared, one a tensor.
        parts = {field.name: getattr(detections, field.name) for field in fields(detections)}
        parts = {name: p.numpy() if isinstance(p, Tensor) else p for name, p in parts.items()}
        if isinstance(masks, Toggles):
            parts["soft_masks"] = masks
        else:
            parts["soft_masks"] = _pack(masks.numpy(), detections.mask_threshold)
        helper = self._idle.get()
        try:
            helper.send(_lines_of_parts, parts, image_id, category_ids)
            return cast(Lines, helper.receive())
        finally:
            self._idle.put(helper)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for helper in self._helpers:
                helper.kill()
        self._threads.shutdown(cancel_futures=True)
        self._stack.close()


def lines_of(detections: "SoftDetections", image_id: int, category_ids: Sequence[int]) -> Lines:
    """Return the lines of one image.

    Raises:
        ArmError: a score is not finite.
    """
    masks = run_lengths(detections)  # from where the soft masks are: only the text is needed
    return _lines(detections.without_masks().cpu(), masks, image_id, category_ids)


def _lines(
    detections: "SoftDetections", masks: Sequence[Rle], image_id: int, category_ids: Sequence[int]
) -> Lines:
    of_boxes, of_masks = entries(detections, masks, image_id, category_ids)
    return Lines(as_lines(of_boxes), as_lines(of_masks), len(of_boxes))


def run_lengths(detections: "SoftDetections") -> list[Rle]:
    """Return the mask of each detection at image size, as COCO's run lengths."""
    size, threshold = (detections.height, detections.width), detections.mask_threshold
    texts = mask_run_lengths(detections.soft_masks, *size, threshold=threshold)
    return [{"size": list(size), "counts": counts} for counts in texts]


def entries(
    detections: "SoftDetections", masks: Sequence[Rle], image_id: int, category_ids: Sequence[int]
) -> tuple[list[Entry], list[Entry]]:
    """Return the box entries, with class scores, and the mask entries, with rescored ones.

    A detection whose integer box has no area is left out of both.

    Raises:
        ArmError: a score is not finite.

    Source: dbolya/yolact@902073d eval.py, `Detections.add_bbox` and `add_mask`.
    """
    scores = detections.scores, detections.mask_scores
    if not all(values.isfinite().all() for values in scores):
        raise ArmError("non_finite_score", f"image {image_id}: a score is not finite")
    columns = (part.tolist() for part in (detections.boxes_px, *scores, detections.labels))
    rows = zip(*columns, masks, strict=True)
    of_boxes: list[Entry] = []
    of_masks: list[Entry] = []
    for (x1, y1, x2, y2), class_score, mask_score, label, run in rows:
        if (x2 - x1) * (y2 - y1) <= 0:
            continue
        box = [round(float(side), 1) for side in (x1, y1, x2 - x1, y2 - y1)]
        what = {"image_id": image_id, "category_id": int(category_ids[label])}
        of_boxes.append({**what, "bbox": box, "score": class_score})
        of_masks.append({**what, "segmentation": run, "score": mask_score})
    return of_boxes, of_masks


def _lines_of_parts(
    parts: Mapping[str, object], image_id: int, category_ids: Sequence[int]
) -> Lines:
    """Return the lines of detections that came as arrays, and masks packed or as toggles.

    Their class is not imported: that would load all of the detectors.
    """
    tensors = {k: torch.from_numpy(a) if isinstance(a, np.ndarray) else a for k, a in parts.items()}
    detections, masks = cast("SoftDetections", SimpleNamespace(**tensors)), parts["soft_masks"]
    size, threshold = (detections.height, detections.width), detections.mask_threshold
    if isinstance(masks, _PackedMasks):
        soft = torch.from_numpy(_unpack(masks))
        masks = mask_toggles(soft, *size, threshold=threshold)
    texts = cast(Toggles, masks).texts()
    runs: list[Rle] = [{"size": list(size), "counts": counts} for counts in texts]
    return _lines(detections, runs, image_id, category_ids)


class _PackedMasks(NamedTuple):
    """Soft masks without the cells that no pixel of the mask depends on: a tenth of the bytes."""

    shape: tuple[int, ...]
    parts: list[tuple[list[int], Float32]]  # of each mask: first row, end, first column, end


def _pack(soft: Float32, threshold: float) -> _PackedMasks:
    """A pixel lies between adjacent cells, so one beside the last above the threshold is enough.

    What is left out becomes 0, which is as little above the threshold as it was.
    """
    if threshold < 0:  # then 0 would be above it
        bounds = [[0, soft.shape[1], 0, soft.shape[2]]] * len(soft)
    else:
        above = soft > threshold
        rows, columns = np.logical_or.reduce(above, axis=2), np.logical_or.reduce(above, axis=1)
        bounds = np.hstack([_extents(rows), _extents(columns)]).tolist()
    parts = [(one, soft[n, slice(*one[:2]), slice(*one[2:])]) for n, one in enumerate(bounds)]
    return _PackedMasks(soft.shape, parts)


def _extents(occupied: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first and the end [N, 2] of the occupied cells, with one more on either side."""
    cells = occupied.shape[1]
    first = (occupied.argmax(1) - 1).clip(0)
    end = (cells + 1 - occupied[:, ::-1].argmax(1)).clip(max=cells)
    extents: NDArray[np.int64] = np.stack([first, end], 1) * occupied.any(1, keepdims=True)
    return extents


def _unpack(packed: _PackedMasks) -> Float32:
    soft = np.zeros(packed.shape, np.float32)
    for mask, ((top, bottom, left, right), values) in zip(soft, packed.parts, strict=True):
        mask[top:bottom, left:right] = values
    return soft
