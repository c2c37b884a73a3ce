"""Stored forward passes: the network's output for every evaluation image, kept to be replayed.

An NMS, a threshold, a crop or a re-scoring changes nothing before the candidates, so one pass
over the images serves all of them.

One file: what is written, resumed and read back is the same few files.
"""

import json
import logging
import shutil
import time
import zipfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from runners.evaluation.decode import batches_of, decoded_batches
from runners.evaluation.files import PredictionKey, read_meta, write_meta
from runners.system.progress import progress
from yolact_bench.array_file import read_arrays
from yolact_bench.data.protocol import Dataset
from yolact_bench.detect.image_candidates import Candidates, candidates_of
from yolact_bench.detector import Detector
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.resolve import can_replay
from yolact_bench.results.files import atomic_path, sync, write_atomically
from yolact_bench.spec.run import Run
from yolact_bench.text import time_span

log = logging.getLogger(__name__)

Part = NDArray[Any]

_PARTS = ("boxes", "probabilities", "coefficients", "prototypes")
META_FILE = "pass.json"

_WRITTEN_BEHIND = 8  # images that wait to be written


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPass:
    """A complete forward pass on disk: the candidates above `min_score` of every image."""

    folder: Path
    min_score: float
    num_images: int
    num_bytes: int
    batch_size: int = 1  # images that went through the network together
    weights_sha256: str = ""  # of the network; empty in a pass of an earlier version

    def candidates(
        self, index: int, device: str | torch.device = "cpu"
    ) -> tuple[Candidates, int, int]:
        """Return the candidates of one image, bit for bit the network's, and its size.

        Raises:
            SpecError: the file is missing or damaged.
        """
        path = _file(self.folder, index)
        try:
            stored = read_arrays(path, (*_PARTS, "size"))
            # Copied into memory of torch's own: products depend on its alignment.
            tensors = {name: torch.tensor(stored[name], device=device) for name in _PARTS}
            height, width = stored["size"].tolist()
        except (OSError, ValueError, TypeError) as error:
            raise SpecError(
                f"{path} is damaged: {error}; remove {self.folder} to have the forward pass made "
                "again"
            ) from error
        return Candidates(**tensors, features=None), height, width


def lowest_score(run: Run) -> float | None:
    """Return the score below which the run's detection looks at no candidate.

    None: its NMS has no such limit, or its re-scoring reads the feature maps. Such a run needs the
    whole detector.
    """
    limit = run.nms.get("min_score") if can_replay(run) else None
    return float(limit) if isinstance(limit, int | float) else None


def open_pass(folder: Path, key: PredictionKey) -> StoredPass | None:
    """Return the complete pass of this key in `folder`, if there is one."""
    meta = read_meta(folder / META_FILE, key.facts("forward_digest"))
    if meta is None or not {"min_score", "bytes"} <= meta.keys():
        return None
    return StoredPass(
        folder=folder,
        min_score=float(meta["min_score"]),
        num_images=key.num_images,
        num_bytes=int(meta["bytes"]),
        batch_size=int(meta.get("batch_size", 1)),
        weights_sha256=str(meta.get("weights_sha256", "")),
    )


def store_pass(
    detector: Detector,
    dataset: Dataset,
    folder: Path,
    key: PredictionKey,
    *,
    min_score: float,
    max_bytes: float,
    title: str,
    batch_size: int = 1,
) -> StoredPass:
    """Run the network on every image of `dataset` and keep its candidates in `folder`.

    One file an image, so that an interrupted pass continues with the first batch that is not
    complete; the meta file, written last, says that all exist. The network sees `batch_size`
    images at a time, the same ones in any case.

    Raises:
        ArmError: an image cannot be read, or more than `max_bytes` would be kept.
    """
    facts = key.facts("forward_digest")
    partial = {**facts, "min_score": min_score, "batch_size": batch_size}
    began = time.monotonic()
    written = _resumable(folder, partial, batches_of(len(dataset), batch_size))
    total = sum(written.values())
    missing = [index for index in range(len(dataset)) if index not in written]
    unsaved: deque[Future[None]] = deque()
    with progress(title, len(dataset), len(written)) as advance, ThreadPoolExecutor(1) as writer:
        each = each_candidates(detector, dataset, missing, batch_size)
        for done, (index, candidates, size) in enumerate(each, start=len(written) + 1):
            parts = _parts(candidates, min_score, size)
            total += sum(part.nbytes for part in parts.values())
            if total > max_bytes:
                raise ArmError(
                    "store_full",
                    f"the stored forward pass would be larger than --max-store "
                    f"({max_bytes / 1e9:.1f} GB) at image {done} of {len(dataset)}; allow more, "
                    "raise min_score, or give --max-store 0 to run the whole detector per arm",
                )
            unsaved.append(writer.submit(_save, _file(folder, index), parts))
            if len(unsaved) > _WRITTEN_BEHIND:
                unsaved.popleft().result()
            advance(done, f"{total / 1e6:.0f} MB")
        for file in unsaved:
            file.result()
    for index in range(len(dataset)):
        sync(_file(folder, index))  # before the file that says they exist
    write_meta(folder / META_FILE, {**partial, "bytes": total})
    seconds = time.monotonic() - began
    log.info("%s: %d images in %s, %.0f MB", title, len(missing), time_span(seconds), total / 1e6)
    stored = open_pass(folder, key)
    assert stored is not None, "just written"
    return stored


def each_candidates(
    detector: Detector, dataset: Dataset, indices: Sequence[int], batch_size: int
) -> Iterator[tuple[int, Candidates, tuple[int, ...]]]:
    """Yield index, candidates, height and width of one image after the other."""
    for batch in decoded_batches(dataset, indices, size=batch_size):
        with torch.inference_mode():
            predictions = detector.predict(detector.preprocess([image for _, image in batch]))
        for place, (index, image) in enumerate(batch):
            with torch.inference_mode():
                candidates = candidates_of(predictions, place)
            yield index, candidates, image.shape[:2]


@torch.inference_mode()
def _parts(candidates: Candidates, min_score: float, size: tuple[int, ...]) -> dict[str, Part]:
    above = candidates.above(min_score)
    parts = {name: getattr(above, name).contiguous().cpu().numpy() for name in _PARTS}
    return {**parts, "size": np.array(size)}


def _resumable(
    folder: Path, partial: dict[str, object], batches: Sequence[range]
) -> dict[int, int]:
    """Return image → bytes of the batches that a pass of the same kind left; clear any other."""
    (folder / META_FILE).unlink(missing_ok=True)  # first: from here on the pass is not complete
    note = folder / "partial.json"
    text = json.dumps(partial, sort_keys=True) + "\n"
    if not note.is_file() or note.read_bytes() != text.encode():
        for path in sorted(folder.glob("*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_atomically(note, text)
    files = sorted(folder.glob("[0-9]*.npz"))
    sizes = {int(file.stem): file.stat().st_size for file in files if _is_whole(file)}
    return {i: sizes[i] for batch in batches if sizes.keys() >= set(batch) for i in batch}


def _is_whole(path: Path) -> bool:
    """A file that was renamed in time may still be empty after a power loss."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index:07d}.npz"


def _save(path: Path, parts: dict[str, Part]) -> None:
    with atomic_path(path, durable=False) as temporary:
        np.savez(temporary, allow_pickle=False, **parts)
