"""Detection of photos in one block: one copy to the device, one replay, one wait.

What leaves the device's program lies in one buffer; what the host must know of it is copied to
the host's memory by the program itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from yolact_bench.clock import Clock
from yolact_bench.detect.graph.fixed import FixedDetection, FixedDetections, call_directly, state_of
from yolact_bench.detect.graph.staging import Photo, Resize, Staging, header_of
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.geometry.boxes import pixels_of
from yolact_bench.runtime.runtime import CompilePart, GraphStep, Program
from yolact_bench.shapes import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoOutput:
    """What a program leaves in memory that its next replay may overwrite."""

    predictions: Predictions
    rows: Int32[Tensor, "B words"]  # the detections of each image, as `pack` lays them out
    shape: tuple[int, int, int]  # how many detections there are, and the sides of their masks
    state: Int64[Tensor, "B 2"]  # on the host: how many rows are not empty; 1 where exact

    def detections(
        self, index: int, count: int, *, height: int, width: int, mask_threshold: float
    ) -> SoftDetections:
        """Return the first `count` detections in one image of this size: one copy."""
        most, h, w = self.shape
        row = self.rows[index].clone()
        labels, boxes, boxes_px, scores, mask_scores, masks = torch.split(
            row, [2 * most, 4 * most, 4 * most, most, most, most * h * w]
        )
        return SoftDetections(
            boxes=boxes.view(torch.float32).view(most, 4)[:count],
            boxes_px=boxes_px.view(torch.float32).view(most, 4)[:count],
            scores=scores.view(torch.float32)[:count],
            mask_scores=mask_scores.view(torch.float32)[:count],
            labels=labels.view(torch.int64)[:count],
            soft_masks=masks.view(torch.float32).view(most, h, w)[:count],
            height=height,
            width=width,
            mask_threshold=mask_threshold,
        )


class PhotoDetection:
    """The detector of photos in a block; one recording for each number of photos."""

    def __init__(
        self,
        detection: FixedDetection,
        resize: Resize,
        record: Callable[[GraphStep], GraphStep],
        mean: Float[Tensor, "3 1 1"],
        std: Float[Tensor, "3 1 1"],
        *,
        side: int,
        dtype: torch.dtype,
        compile_part: CompilePart = call_directly,
    ) -> None:
        self._detection, self._resize, self._record = detection, resize, record
        self._side, self._dtype, self._mean, self._std = side, dtype, mean, std
        self._measure = compile_part(_measure_sizes, name="sizes")
        self._made: dict[int, tuple[Staging, GraphStep]] = {}

    def staging(self, images: int) -> Staging:
        """Return the memory for so many photos."""
        return self._of(images)[0]

    def __call__(self, program: Program, photos: Sequence[Photo], clock: Clock) -> PhotoOutput:
        """Return the detections of photos that fit into the staging, when they are there.

        The next call with as many photos overwrites them.
        """
        staging, step = self._of(len(photos))
        with clock("preprocess"):
            staging.upload(photos)
        outcome: PhotoOutput = step(program, staging.block, clock)
        with clock("copy"):
            if staging.block.is_cuda:
                torch.cuda.current_stream(staging.block.device).synchronize()
        return outcome

    def _of(self, images: int) -> tuple[Staging, GraphStep]:
        if images not in self._made:
            device = self._mean.device
            step = self._record(self._step(images, device))
            self._made[images] = Staging(images, device), step
        return self._made[images]

    def _step(self, images: int, device: torch.device) -> GraphStep:
        pinned = device.type == "cuda"
        state = torch.zeros(images, 2, dtype=torch.int64, pin_memory=pinned)

        def step(program: Program, block: Tensor, clock: Clock) -> PhotoOutput:
            with clock("preprocess"):
                batch = self._resize(block, images, self._side, self._mean, self._std, self._dtype)
            raw: Predictions = program(batch, clock=clock)
            detections = self._detection(raw, clock)
            with clock("copy"):
                sizes = header_of(block, images)
                boxes_px, on_device = self._measure(
                    (detections.boxes, detections.scores, detections.exact, sizes)
                )
                state.copy_(on_device, non_blocking=True)
                rows = pack(detections, boxes_px)
            shape = detections.soft_masks.shape[1], *detections.soft_masks.shape[2:]
            return PhotoOutput(predictions=raw, rows=rows, shape=shape, state=state)

        return step


def _measure_sizes(
    boxes: Float[Tensor, "B N 4"],
    scores: Float[Tensor, "B N"],
    exact: Bool[Tensor, " B"],
    sizes: Int32[Tensor, "B 4"],
) -> tuple[Float[Tensor, "B N 4"], Int64[Tensor, "B 2"]]:
    """Return boxes in pixels, and what the host must know."""
    width_height = torch.stack([sizes[:, 2], sizes[:, 1]], 1).float()
    return pixels_of(boxes, width_height), state_of(scores, exact)


def pack(detections: FixedDetections, boxes_px: Float[Tensor, "B N 4"]) -> Int32[Tensor, "B words"]:
    """Return all of each image's detections in one row: labels first, which need alignment."""
    parts = (
        detections.labels,
        detections.boxes,
        boxes_px,
        detections.scores,
        detections.mask_scores,
    )
    words = [part.flatten(1).view(torch.int32) for part in (*parts, detections.soft_masks)]
    return torch.cat(words, 1)
