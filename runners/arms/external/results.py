"""Predictions of other frameworks: checked, and adopted in our layout."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from runners.arms.external.reported_latency import ReportedLatency, read_reported_latency
from runners.evaluation.coco.index import Entry
from runners.evaluation.coco.masks import Rle, as_run_lengths, box_around
from runners.evaluation.files import PredictionKey, prediction_files
from yolact_bench.coco_fields import is_number, with_keys
from yolact_bench.data.protocol import Dataset
from yolact_bench.errors import SpecError
from yolact_bench.json_file import read_json
from yolact_bench.results.files import write_atomically
from yolact_bench.results.serialise import from_plain, to_plain

FACTS_FILE = "external.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFacts:
    """Facts about predictions, stored beside them."""

    boxes_around_masks: bool  # the results have no boxes
    latency: ReportedLatency | None


class _Images:
    """The images, sizes and categories that results may name."""

    def __init__(self, dataset: Dataset) -> None:
        images = dataset.ground_truth()["images"]
        assert isinstance(images, list)
        self.sizes = {int(i["id"]): (int(i["height"]), int(i["width"])) for i in images}
        self.categories = frozenset(dataset.category_ids)


def adopt(files: Mapping[str, Path], dataset: Dataset, folder: Path, key: PredictionKey) -> None:
    """Leave the predictions of another framework in `folder`, in the layout of our own.

    `files` has "segm" and may have "bbox", both in COCO's result format, and "latency". Without
    boxes, it takes those around the masks, with the masks' scores.

    Raises:
        SpecError: a file is missing or malformed, or names other images or categories.
    """
    known = _Images(dataset)
    latency = read_reported_latency(files["latency"]) if "latency" in files else None
    masks = _masks(files["segm"], known)
    boxes = _boxes(files["bbox"], known) if "bbox" in files else [_around(m) for m in masks]
    if bool(boxes) != bool(masks):
        empty = files["segm" if boxes else "bbox"]
        raise SpecError(
            f"{empty}: no detection, where {files['bbox' if boxes else 'segm']} has "
            f"{len(boxes or masks)}; write boxes and masks of the same detections, or leave out "
            "bbox, for boxes around the masks"
        )
    facts = ResultFacts(boxes_around_masks="bbox" not in files, latency=latency)
    # First, as the predictions count as complete with the last of their own files.
    write_atomically(folder / FACTS_FILE, json.dumps(to_plain(facts), indent=1) + "\n")
    with prediction_files(folder, key) as predictions:
        predictions.extend(boxes, masks)


def read_facts(folder: Path) -> ResultFacts:
    """Return what `adopt` noted beside the predictions.

    Raises:
        SpecError: the note is missing or damaged.
    """
    path = folder / FACTS_FILE
    try:
        return from_plain(ResultFacts, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SpecError(f"{path}: {error}; delete the folder, and run again") from error


def _masks(path: Path, known: _Images) -> list[Entry]:
    masks: list[Entry] = []
    for where, entry in _entries(path, known, "segmentation"):
        height, width = known.sizes[cast(int, entry["image_id"])]
        try:
            mask: Rle = as_run_lengths(entry["segmentation"], height=height, width=width)
        except ValueError as error:
            raise SpecError(
                f"{where}: segmentation: {error}; write polygons [[x1, y1, x2, y2, x3, y3, …], …], "
                f'or {{"size": [{height}, {width}], "counts": …}}'
            ) from error
        masks.append(_with(entry, segmentation=mask))
    return masks


def _boxes(path: Path, known: _Images) -> list[Entry]:
    boxes: list[Entry] = []
    for where, entry in _entries(path, known, "bbox"):
        box = entry["bbox"]
        sides = [side for side in box if is_number(side)] if isinstance(box, list) else []
        if not isinstance(box, list) or len(box) != 4 or len(sides) != 4 or min(sides[2:]) < 0:
            raise SpecError(f"{where}: bbox: expected [x, y, width, height] in pixels, got {box!r}")
        boxes.append(_with(entry, bbox=box))
    return boxes


def _around(mask: Entry) -> Entry:
    region: Rle = mask["segmentation"]  # type: ignore[assignment]
    return _with(mask, bbox=box_around(region))


def _with(entry: Entry, **shape: object) -> Entry:
    """Return the image, category and score of an entry with another box or mask."""
    subject = {"image_id": entry["image_id"], "category_id": entry["category_id"]}
    return {**subject, **shape, "score": entry["score"]}


def _entries(path: Path, known: _Images, shape: str) -> Iterable[tuple[str, dict[str, object]]]:
    """Yield where it stands, and the entry, whose image, category and score are right."""
    data = read_json(path)
    if not isinstance(data, list):
        raise SpecError(
            f"{path}: expected a list of detections, COCO's result format, got a "
            f"{type(data).__name__}; write [{{image_id, category_id, score, {shape}}}, …]"
        )
    for number, entry in enumerate(data, start=1):
        where = f"{path}: entry {number}"
        one = with_keys(where, entry, ("image_id", "category_id", "score", shape))
        _check_known(where, "image_id", one["image_id"], known.sizes)
        _check_known(where, "category_id", one["category_id"], known.categories)
        yield where, one


def _check_known(
    where: str, key: str, value: int, known: Mapping[int, object] | frozenset[int]
) -> None:
    if value not in known:
        some = ", ".join(map(str, sorted(known)[:8]))
        raise SpecError(
            f"{where}: {key} {value!r} is not in the evaluation data, which has {some}"
            f"{', …' if len(known) > 8 else ''}; give predictions that were made on these data"
        )
