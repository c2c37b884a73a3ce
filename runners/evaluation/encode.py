"""Detections → the lines of COCO's result files, in this process or in helpers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import fields
from queue import SimpleQueue
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from runners.evaluation.coco.detections import Entry
from runners.evaluation.coco.masks import Rle
from runners.evaluation.files import Lines, as_lines
from runners.system.ahead import in_order
from runners.system.helper_process import HelperProcess
from yolact_bench.errors import ArmError
from yolact_bench.geometry.run_lengths import Toggles, mask_toggles

if TYPE_CHECKING:
    from yolact_bench.detect.pipeline import SoftDetections

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

    The main thread never waits for data to be sent.
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
        masks: Tensor | Toggles = detections.soft_masks
        if detections.soft_masks.is_cuda:
            # Here, not in a thread: it would wait for the next images as well.
            masks = _toggles(detections)
        on_host = detections.without_masks().cpu()
        parts = {field.name: getattr(on_host, field.name) for field in fields(on_host)}
        # Arrays instead of tensors: those would go through files that are shared, one a tensor.
        arrays = {
            name: part.numpy() if isinstance(part, Tensor) else part
            for name, part in {**parts, "soft_masks": masks}.items()
        }
        return self._threads.submit(self._encode, arrays, image_id, tuple(category_ids))

    def _encode(self, *arguments: object) -> Lines:
        helper = self._idle.get()
        try:
            helper.send(_lines_of_parts, *arguments)
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


def run_lengths(detections: "SoftDetections", toggles: Toggles | None = None) -> list[Rle]:
    """Return the mask of each detection at image size, as COCO's run lengths."""
    height, width = detections.height, detections.width
    texts = (toggles or _toggles(detections)).texts()
    return [{"size": [height, width], "counts": counts} for counts in texts]


def _toggles(detections: "SoftDetections") -> Toggles:
    size, threshold = (detections.height, detections.width), detections.mask_threshold
    return mask_toggles(detections.soft_masks, *size, threshold=threshold)


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
    check_finite(*scores, image_id=image_id)
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


def check_finite(*scores: Tensor, image_id: int) -> None:
    """Raise `ArmError` if a score of an image is not a finite number."""
    if not all(values.isfinite().all() for values in scores):
        raise ArmError(
            "non_finite_score",
            f"image {image_id}: a score is not finite; write precision: fp32 in the runtime, or "
            "train again with a lower schedule.lr",
        )


def _lines_of_parts(
    parts: Mapping[str, object], image_id: int, category_ids: Sequence[int]
) -> Lines:
    """Return the lines of detections sent as arrays, whose masks may be sent as toggles.

    Their class is not imported: that would load all of the detectors.
    """
    tensors = {k: torch.from_numpy(a) if isinstance(a, np.ndarray) else a for k, a in parts.items()}
    detections, masks = cast("SoftDetections", SimpleNamespace(**tensors)), parts["soft_masks"]
    runs = run_lengths(detections, masks if isinstance(masks, Toggles) else None)
    return _lines(detections, runs, image_id, category_ids)
