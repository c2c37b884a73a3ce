"""Predict to disk, then score what is on disk: a mistake in scoring never costs a forward pass."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from runners.coco_index import Entry, Rle
from runners.coco_map import score
from runners.progress import progress
from yolact_bench.data.protocol import Dataset
from yolact_bench.detect.pipeline import Found
from yolact_bench.detector import Detector
from yolact_bench.errors import ArmError
from yolact_bench.geometry.run_lengths import mask_run_lengths
from yolact_bench.results.files import atomic_path, write_atomically
from yolact_bench.results.record import ApSummary
from yolact_bench.statistics.matches import FILES as MATCH_FILES

META_SCHEMA = 1
BOX_FILE, MASK_FILE, META_FILE = "bbox.json", "segm.json", "meta.json"

Image = NDArray[np.uint8]  # RGB [H, W, 3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Box and mask metrics of one detector on one data set."""

    box: ApSummary
    mask: ApSummary


def predict(
    detector: Detector,
    dataset: Dataset,
    folder: Path,
    *,
    digest: str,
    weights: str,
    batch_size: int = 1,
    title: str = "evaluate",
) -> Path:
    """Return `folder`, holding the detector's predictions on every image of `dataset`.

    bbox.json and segm.json are COCO result files; meta.json, written last, says that both are
    complete and from which detection digest and weights (a checkpoint's name or digest).
    Predictions that are complete already are not made again.

    Raises:
        ArmError: an image that cannot be read.
    """
    if is_complete(folder, digest=digest, weights=weights, num_images=len(dataset)):
        return folder
    with (
        prediction_files(
            folder, digest=digest, weights=weights, num_images=len(dataset)
        ) as predictions,
        progress(title, len(dataset)) as shown,
    ):
        images = range(len(dataset))
        for done, entries in enumerate(
            detections(detector, dataset, images, batch_size=batch_size), start=1
        ):
            predictions.extend(*entries)
            shown.advance(done, f"{predictions.length} detections")
    return folder


@contextmanager
def prediction_files(
    folder: Path, *, digest: str, weights: str, num_images: int
) -> Iterator["Predictions"]:
    """Yield what takes the entries of one image after the other.

    The files appear when the block ends without an exception, meta.json last.
    """
    (folder / META_FILE).unlink(missing_ok=True)  # no longer the truth about the other two
    with _json_list(folder / BOX_FILE) as boxes, _json_list(folder / MASK_FILE) as masks:
        predictions = Predictions(boxes, masks)
        yield predictions
    meta = {**_identity(digest, weights, num_images), "num_detections": predictions.length}
    write_atomically(folder / META_FILE, json.dumps(meta, indent=2) + "\n")


def is_complete(folder: Path, *, digest: str, weights: str, num_images: int) -> bool:
    """Return whether `folder` holds all predictions of this digest, weights and data size."""
    try:
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    expected = _identity(digest, weights, num_images)
    files = all((folder / name).is_file() for name in (BOX_FILE, MASK_FILE))
    return files and all(meta.get(key) == value for key, value in expected.items())


def _identity(digest: str, weights: str, num_images: int) -> dict[str, object]:
    return {
        "schema": META_SCHEMA,
        "complete": True,
        "detect_digest": digest,
        "weights": weights,
        "num_images": num_images,
    }


def evaluate(dataset: Dataset, folder: Path) -> Scores:
    """Return box and mask AP of the predictions that `predict` left in `folder`.

    What was matched is left beside them, for AP on resampled images.

    Raises:
        SpecError: the files are missing or damaged, or belong to another data set.
    """
    truth, names = dataset.ground_truth(), _class_names(dataset)
    return Scores(
        box=score(
            truth,
            folder / BOX_FILE,
            kind="bbox",
            class_names=names,
            save_matches=folder / MATCH_FILES["box"],
        ),
        mask=score(
            truth,
            folder / MASK_FILE,
            kind="segm",
            class_names=names,
            save_matches=folder / MATCH_FILES["mask"],
        ),
    )


def validate(
    detector: Detector, dataset: Dataset, *, max_images: int | None = None, batch_size: int = 1
) -> Scores:
    """Return the scores on the first `max_images` images, or all, without writing a file.

    For a look at a network in training; results come from `predict` and `evaluate`.
    """
    images = range(len(dataset))[:max_images]
    boxes: list[Entry] = []
    masks: list[Entry] = []
    for image_boxes, image_masks in detections(detector, dataset, images, batch_size=batch_size):
        boxes += image_boxes
        masks += image_masks
    truth, names = dataset.ground_truth(), _class_names(dataset)
    ids = [dataset.image_id(index) for index in images]
    return Scores(
        box=score(truth, boxes, kind="bbox", class_names=names, image_ids=ids),
        mask=score(truth, masks, kind="segm", class_names=names, image_ids=ids),
    )


def detections(
    detector: Detector, dataset: Dataset, indices: Sequence[int], *, batch_size: int = 1
) -> Iterator[tuple[list[Entry], list[Entry]]]:
    """Yield box entries and mask entries of each image, in order, in COCO's result format."""
    batch: list[tuple[int, Image]] = []
    for index, image in _decoded_ahead(dataset, indices, ahead=2 * batch_size):
        batch.append((index, image))
        if len(batch) == batch_size:
            yield from _detect(detector, dataset, batch)
            batch = []
    if batch:
        yield from _detect(detector, dataset, batch)


def _detect(
    detector: Detector, dataset: Dataset, batch: Sequence[tuple[int, Image]]
) -> Iterator[tuple[list[Entry], list[Entry]]]:
    found = detector.find([image for _, image in batch])
    for (index, _), on_device in zip(batch, found, strict=True):
        in_image = on_device.cpu()
        masks = run_lengths(in_image)
        yield entries(in_image, masks, dataset.image_id(index), dataset.category_ids)


def run_lengths(found: Found) -> list[Rle]:
    """Return the mask of each detection at image size, as COCO's run lengths."""
    size = (found.height, found.width)
    texts = mask_run_lengths(found.soft_masks, *size, threshold=found.mask_threshold)
    return [{"size": list(size), "counts": counts} for counts in texts]


def entries(
    found: Found, masks: Sequence[Rle], image_id: int, category_ids: Sequence[int]
) -> tuple[list[Entry], list[Entry]]:
    """Return the box entries, with class scores, and the mask entries, with rescored ones.

    A detection whose integer box has no area is left out of both.

    Raises:
        ArmError: a score is not finite.

    Source: dbolya/yolact@902073d eval.py, `Detections.add_bbox` and `add_mask`.
    """
    if not (found.scores.isfinite().all() and found.mask_scores.isfinite().all()):
        raise ArmError("non_finite_score", f"image {image_id}: a score is not finite")
    rows = zip(
        found.boxes_px.tolist(),
        found.scores.tolist(),
        found.mask_scores.tolist(),
        found.labels.tolist(),
        masks,
        strict=True,
    )
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


def _decoded_ahead(
    dataset: Dataset, indices: Sequence[int], *, ahead: int
) -> Iterator[tuple[int, Image]]:
    """Yield index and image in order, while a thread decodes the next `ahead` images."""
    waiting: deque[tuple[int, Future[Image]]] = deque()
    reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")
    try:
        for index in indices:
            waiting.append((index, reader.submit(dataset.image, index)))
            if len(waiting) > ahead:
                first, image = waiting.popleft()
                yield first, image.result()
        while waiting:
            first, image = waiting.popleft()
            yield first, image.result()
    finally:
        # After an unreadable image, or a caller that stopped early, nothing more is read.
        reader.shutdown(cancel_futures=True)


def _class_names(dataset: Dataset) -> dict[int, str]:
    return dict(zip(dataset.category_ids, dataset.classes, strict=True))


class Predictions:
    """Entries of images, written to two files as they come."""

    def __init__(self, boxes: "_JsonList", masks: "_JsonList") -> None:
        self._boxes, self._masks = boxes, masks

    @property
    def length(self) -> int:
        """How many detections there are so far."""
        return self._boxes.length

    def extend(self, boxes: Sequence[Entry], masks: Sequence[Entry]) -> None:
        """Add the entries of the next image."""
        self._boxes.extend(boxes)
        self._masks.extend(masks)


class _JsonList:
    """The entries of a JSON list, written one a line as they come."""

    def __init__(self, file: TextIO) -> None:
        self.length = 0
        self._file = file

    def extend(self, entries: Sequence[Entry]) -> None:
        """Write `entries` behind those that stand."""
        for entry in entries:
            self._file.write(",\n" if self.length else "\n")
            self._file.write(json.dumps(entry, separators=(",", ":"), allow_nan=False))
            self.length += 1


@contextmanager
def _json_list(path: Path) -> Iterator[_JsonList]:
    """Yield a JSON list that appears at `path` when the block ends without an exception."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[")
        yield _JsonList(file)
        file.write("\n]\n")
