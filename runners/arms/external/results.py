"""Predictions of other frameworks: checked, and adopted in our layout."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runners.arms.external.reported_latency import ReportedLatency, read_reported_latency
from runners.evaluation.coco.detections import Entry, Subjects, read_detections
from runners.evaluation.coco.masks import Rle, box_around
from runners.evaluation.files import PredictionKey, prediction_files
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


def adopt(files: Mapping[str, Path], dataset: Dataset, folder: Path, key: PredictionKey) -> None:
    """Leave the predictions of another framework in `folder`, in the layout of our own.

    `files` has "segm" and may have "bbox", both in COCO's result format, and "latency". Without
    boxes, it takes those around the masks, with the masks' scores.

    Raises:
        SpecError: a file is missing or malformed, or names other images or categories.
    """
    known = Subjects(dataset.ground_truth())
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
    remedy = f"delete {folder}, and run again"
    data = read_json(path, remedy=remedy)
    try:
        if not isinstance(data, dict):
            raise SpecError(f"a {type(data).__name__}, not an object")
        return from_plain(ResultFacts, data)
    except SpecError as error:
        raise SpecError(f"{path}: damaged ({error}); {remedy}") from error


def _masks(path: Path, known: Subjects) -> list[Entry]:
    detections = read_detections(read_json(path), known, "segm", where=str(path))
    pairs = zip(detections.entries, detections.shapes, strict=True)
    return [_with(entry, segmentation=mask) for entry, mask in pairs]


def _boxes(path: Path, known: Subjects) -> list[Entry]:
    detections = read_detections(read_json(path), known, "bbox", where=str(path))
    return [_with(entry, bbox=entry["bbox"]) for entry in detections.entries]


def _around(mask: Entry) -> Entry:
    region: Rle = mask["segmentation"]  # type: ignore[assignment]
    return _with(mask, bbox=box_around(region))


def _with(entry: Entry, **shape: object) -> Entry:
    """Return the image, category and score of an entry with another box or mask."""
    subject = {"image_id": entry["image_id"], "category_id": entry["category_id"]}
    return {**subject, **shape, "score": entry["score"]}
