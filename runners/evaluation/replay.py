"""Replays: the detections of several arms from one stored forward pass, image by image."""

import logging
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from runners.evaluation.coco.masks import Rle
from runners.evaluation.encode import entries, run_lengths
from runners.evaluation.files import PredictionKey, prediction_files
from runners.evaluation.stored_pass import StoredPass
from runners.system.progress import progress
from yolact_bench.data.protocol import Dataset
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.detector import Detector
from yolact_bench.errors import ArmError
from yolact_bench.text import time_span

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to detect: the parts of a detector whose network need not run."""

    detector: Detector
    folder: Path  # for its predictions
    digest: str  # of its detections
    title: str


def replay(
    stored: StoredPass, variants: Sequence[Variant], dataset: Dataset, *, weights: str
) -> None:
    """Write the predictions of every variant, as the whole detector would.

    All variants see an image before the next is read, and a mask that two of them keep is
    encoded once. A variant whose scores are not finite is left without predictions; evaluating
    it alone says why.
    """
    began = time.monotonic()
    names = ", ".join(variant.title for variant in variants)
    arms = [_Arm(variant, weights, stored) for variant in variants]
    try:
        with progress(f"replay {names}", len(dataset)) as advance:
            for index in range(len(dataset)):
                arms = _replay_image(stored, arms, dataset, index)
                advance(index + 1, f"{len(arms)} arms")
    except BaseException:
        for arm in arms:
            arm.give_up()
        raise
    for arm in arms:
        arm.files.close()  # now they appear
    seconds = time.monotonic() - began
    log.info("replayed %d arms on %d images in %s", len(arms), len(dataset), time_span(seconds))


def _replay_image(
    stored: StoredPass, arms: Sequence["_Arm"], dataset: Dataset, index: int
) -> list["_Arm"]:
    """Add the detections of one image to each arm; return the arms without a fault."""
    if not arms:
        return []
    candidates, height, width = stored.candidates(index, arms[0].detector.device)
    encoded = EncodedMasks()
    healthy = []
    for arm in arms:
        with torch.inference_mode():
            detections = arm.detector.head.detect(candidates, height=height, width=width).cpu()
        masks = encoded.run_lengths(detections)
        of_image = dataset.image_id(index), dataset.category_ids
        try:
            arm.predictions.extend(*entries(detections, masks, *of_image))
        except ArmError as error:
            log.warning("%s: %s", arm.title, error)
            arm.give_up()
        else:
            healthy.append(arm)
    return healthy


class EncodedMasks:
    """The run lengths of the masks of one image, kept for every variant that finds them again.

    Variants that keep the same candidate assemble the same soft mask, to the bit. That is
    compared before run lengths are used again, so they are always those of this very mask.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[NDArray[np.float32], float, Rle]] = {}

    def run_lengths(self, detections: SoftDetections) -> list[Rle]:
        """Return the run lengths of each detection of the image."""
        soft_masks, threshold = detections.soft_masks.numpy(), detections.mask_threshold
        keys = [box.tobytes() for box in detections.boxes.numpy()]
        rows = list(zip(keys, soft_masks, strict=True))
        known = [self._look_up(key, mask, threshold) for key, mask in rows]
        is_new = [run is None for run in known]
        new = iter(run_lengths(detections.where(torch.tensor(is_new))) if any(is_new) else [])
        runs = [run or next(new) for run in known]
        for (key, mask), run in zip(rows, runs, strict=True):
            self._known[key] = mask, threshold, run
        return runs

    def _look_up(self, key: bytes, mask: NDArray[np.float32], threshold: float) -> Rle | None:
        entry = self._known.get(key)
        same = entry and entry[1] == threshold and np.array_equal(entry[0], mask)
        return entry[2] if entry and same else None


class _Arm:
    """A variant and its prediction files while they are written."""

    def __init__(self, variant: Variant, weights: str, stored: StoredPass) -> None:
        self.detector, self.title = variant.detector, variant.title
        key = PredictionKey(variant.digest, weights, stored.num_images, stored.weights_sha256)
        self.files = ExitStack()
        files = prediction_files(variant.folder, key, batch_size=stored.batch_size)
        self.predictions = self.files.enter_context(files)

    def give_up(self) -> None:
        """Leave nothing, because of the exception that is being handled."""
        kind, error, trace = sys.exc_info()
        with suppress(BaseException):
            self.files.__exit__(kind, error, trace)
