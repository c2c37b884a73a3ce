"""COCO result files of predictions: complete or absent, with a note of what they are."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from runners.evaluation.coco.index import Entry
from runners.evaluation.lines import Lines, as_lines
from yolact_bench.results.files import atomic_path, write_atomically

META_SCHEMA = 1
BOX_FILE, MASK_FILE, META_FILE = "bbox.json", "segm.json", "meta.json"


@contextmanager
def prediction_files(
    folder: Path, *, digest: str, weights: str, num_images: int, batch_size: int = 1
) -> Iterator["Predictions"]:
    """Yield what takes the entries of one image after the other.

    The files appear when the block ends without an exception, meta.json last. `batch_size` is
    that of the forward pass.
    """
    (folder / META_FILE).unlink(missing_ok=True)  # no longer the truth about the other two
    with _json_list(folder / BOX_FILE) as boxes, _json_list(folder / MASK_FILE) as masks:
        predictions = Predictions(boxes, masks)
        yield predictions
    meta = {
        **_identity(digest, weights, num_images),
        "num_detections": predictions.length,
        "batch_size": batch_size,
    }
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


def batch_size_of(folder: Path) -> int:
    """Return how many images went through the network together for complete predictions."""
    meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
    return int(meta.get("batch_size", 1))


def _identity(digest: str, weights: str, num_images: int) -> dict[str, object]:
    return {
        "schema": META_SCHEMA,
        "complete": True,
        "detect_digest": digest,
        "weights": weights,
        "num_images": num_images,
    }


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
        self.write(Lines(as_lines(boxes), as_lines(masks), len(boxes)))

    def write(self, lines: Lines) -> None:
        """Add the lines of the next image."""
        self._boxes.write(lines.boxes, lines.length)
        self._masks.write(lines.masks, lines.length)


class _JsonList:
    """The entries of a JSON list, written one a line as they come."""

    def __init__(self, file: TextIO) -> None:
        self.length = 0
        self._file = file

    def write(self, lines: str, count: int) -> None:
        """Write `count` entries behind those that stand."""
        if count:
            self._file.write(",\n" if self.length else "\n")
            self._file.write(lines)
            self.length += count


@contextmanager
def _json_list(path: Path) -> Iterator[_JsonList]:
    """Yield a JSON list that appears at `path` when the block ends without an exception."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[")
        yield _JsonList(file)
        file.write("\n]\n")
