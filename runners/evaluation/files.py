"""COCO result files of predictions: complete or absent, with a note of what they are of."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple

from runners.evaluation.coco.detections import Entry
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.errors import SpecError
from yolact_bench.file_hash import file_sha256
from yolact_bench.json_file import read_json
from yolact_bench.results.files import atomic_path, write_atomically

Append = Callable[[str], None]  # of lines to a result file

META_SCHEMA = 1
BOX_FILE, MASK_FILE, META_FILE = "bbox.json", "segm.json", "meta.json"
_AMOUNTS = {"batch_size", "bytes", "min_score", "num_detections", "num_images"}
_VALUES = "weights_sha256"
_MASKS = "masks_sha256"  # of the file of masks


@dataclass(frozen=True, slots=True)
class PredictionKey:
    """What predictions or a stored pass are of: where any of it differs, they are made again."""

    digest: str  # of the detections, or of the forward pass
    weights: str  # the digest of a training or of a file
    num_images: int
    weights_sha256: str = ""  # of their values; empty where they are not known

    def facts(self, digest_name: str) -> dict[str, object]:
        """Return the content of a meta file of complete predictions, or of a stored pass."""
        facts: dict[str, object] = {
            "schema": META_SCHEMA,
            "complete": True,
            digest_name: self.digest,
            "weights": self.weights,
            "num_images": self.num_images,
        }
        return {**facts, _VALUES: self.weights_sha256} if self.weights_sha256 else facts


def read_meta(file: Path, facts: Mapping[str, object]) -> Mapping[str, Any] | None:
    """Return the content of a meta file, if it holds these facts.

    One without the hash of the weights, of an earlier version, is of any weights of its training.
    """
    try:
        meta = read_json(file)
    except SpecError:
        return None
    if not isinstance(meta, dict) or not all(map(_is_amount, map(meta.get, _AMOUNTS & {*meta}))):
        return None
    return meta if facts.items() <= {_VALUES: facts.get(_VALUES), **meta}.items() else None


def _is_amount(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= float(str(value)) < math.inf


def write_meta(file: Path, meta: Mapping[str, object]) -> None:
    """Write a meta file."""
    write_atomically(file, json.dumps(meta, indent=2) + "\n")


class Lines(NamedTuple):
    """Entries of both result files, as a rule those of one image."""

    boxes: str
    masks: str
    length: int  # number of detections


def as_lines(entries: Iterable[Entry]) -> str:
    """Return entries of a result file as JSON, one a line."""
    return ",\n".join(
        json.dumps(entry, separators=(",", ":"), allow_nan=False) for entry in entries
    )


@contextmanager
def prediction_files(
    folder: Path, key: PredictionKey, *, batch_size: int = 1
) -> Iterator["PredictionWriter"]:
    """Yield a writer that takes the entries of one image after the other.

    The files appear when the block ends without an exception, meta.json last. `batch_size` is
    that of the forward pass.
    """
    (folder / META_FILE).unlink(missing_ok=True)  # it describes files that are replaced now
    digest = hashlib.sha256()
    with (
        _json_list(folder / BOX_FILE, hashlib.sha256()) as boxes,
        _json_list(folder / MASK_FILE, digest) as masks,
    ):
        predictions = PredictionWriter(boxes, masks)
        yield predictions
    facts = {**key.facts("detect_digest"), _MASKS: digest.hexdigest()}
    meta = {**facts, "num_detections": predictions.length, "batch_size": batch_size}
    write_meta(folder / META_FILE, meta)


def is_complete(folder: Path, key: PredictionKey) -> bool:
    """Return whether `folder` holds all predictions of this key."""
    files = all((folder / name).is_file() for name in (BOX_FILE, MASK_FILE))
    return files and read_meta(folder / META_FILE, key.facts("detect_digest")) is not None


def holds_masks_as_written(file: Path) -> bool:
    """Return whether a file has the content that `prediction_files` gave its masks, to the bit."""
    meta = read_meta(file.with_name(META_FILE), {})
    return meta is not None and meta.get(_MASKS) == file_sha256(file)


def batch_size_of(folder: Path) -> int:
    """Return the batch size of the forward pass of complete predictions.

    Raises:
        SpecError: the note beside them is damaged.
    """
    meta = read_meta(folder / META_FILE, {})
    if meta is None:
        raise SpecError(f"{folder / META_FILE} is damaged; remove it to predict again")
    return int(meta.get("batch_size", 1))


class PredictionWriter:
    """Writes entries of images to two JSON lists, one entry a line."""

    def __init__(self, boxes: Append, masks: Append) -> None:
        self.length = 0  # detections so far
        self._append_boxes, self._append_masks = boxes, masks

    def extend(self, boxes: Sequence[Entry], masks: Sequence[Entry]) -> None:
        self.write(Lines(as_lines(boxes), as_lines(masks), len(masks)))

    def write(self, lines: Lines) -> None:
        self._append_boxes(lines.boxes)
        self._append_masks(lines.masks)
        self.length += lines.length


@contextmanager
def _json_list(path: Path, digest: "hashlib._Hash") -> Iterator[Append]:
    """Yield what appends to a list, which is at `path` once the block ends without an exception.

    `digest` takes all that is written.
    """
    separators = chain(["\n"], repeat(",\n"))

    def write(text: str) -> None:
        content = text.encode()
        digest.update(content)
        file.write(content)

    def append(lines: str) -> None:
        if lines:
            write(next(separators) + lines)

    with atomic_path(path) as temporary, temporary.open("wb") as file:
        write("[")
        yield append
        write("\n]\n")


def write_submission(predictions: Path, out: Path, *, images: str, arm: str) -> dict[str, Path]:
    """Copy predictions to the two files that the server of COCO's test images takes.

    Both tasks, "box" and "mask", expect the same name, so each has its own folder.

    Source: the upload page of COCO, `detections_[testset]_[algorithm]_results.json`.
    """
    name = f"detections_{images}_{arm}_results.json"
    submission = {"box": out / "bbox" / name, "mask": out / "segm" / name}
    for target, file in zip(submission.values(), (BOX_FILE, MASK_FILE), strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as temporary:
            shutil.copyfile(predictions / file, temporary)
    return submission


def images_name(data: DatasetSpec, split: str) -> str:
    """Return the server's name for the images of a split, such as test-dev2017."""
    files = data.split(split).files
    if files is not None and files[1].stem.startswith("image_info_"):
        return files[1].stem.removeprefix("image_info_")
    return f"{data.name}-{split}"
