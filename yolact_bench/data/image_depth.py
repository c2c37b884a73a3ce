"""Images of more than 8 bits a value: one scale for all of a data set, and their narrowing.

Cameras and microscopes store 10 to 14 bits in 16. Divided by 256, as 16 bits are, such an image is
nearly black; scaled by its own range each image would have another brightness. So the bits that
the training images use are those of all splits.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from yolact_bench.data.image_file import RGB, decode, decode_deep
from yolact_bench.data.split_files import ImageFiles
from yolact_bench.errors import SpecError
from yolact_bench.findings import DEPTH, Findings
from yolact_bench.image_files.scan_cache import load_rows, save_rows
from yolact_bench.text import count

log = logging.getLogger(__name__)

DEPTHS = (8, 10, 12, 14, 16)  # bits
FULL = DEPTHS[-1]
_SUBJECT = "peaks"  # of what is kept in the cache


def choose_bits(
    files: ImageFiles, training: ImageFiles | None, findings: Findings, *, cache: Path | None
) -> int:
    """Return the bits that values of the deep images of a split have, as a finding too.

    They are those of the training images, or of these if no training image is deep.

    Raises:
        SpecError: an image holds larger values than the training images.
    """
    if not files.deep:
        return FULL
    log.info("%s of 16 bits: looking for the largest value", count(len(files.deep), "image"))
    peaks = measure_peaks(files.folder, files.deep, cache=cache)
    peak = max(peaks)
    bits = bits_of(peak)
    if training is not None and training.deep:
        bits = bits_of(max(measure_peaks(training.folder, training.deep, cache=cache)))
    if peak >= 1 << bits:
        raise SpecError(
            f"{files.folder / files.deep[peaks.index(peak)]}: values up to {peak}, but the "
            f"training images fit into {bits} bits, by which all are scaled; convert the images of "
            "all splits to 8 bits with one scale"
        )
    text = f"values up to {peak}: divided by {1 << bits - 8}, as of {bits} bits"
    findings.add(DEPTH, count(len(files.deep), "image"), text)
    return bits


def measure_peaks(folder: Path, names: Sequence[str], *, cache: Path | None) -> list[int]:
    """Return the largest value in each of these images; they are decoded for it, once.

    A file that cannot be decoded counts as 0: reading it says why.
    """
    rows = load_rows(cache, folder, _SUBJECT)
    news: dict[str, list[int]] = {}

    def measure(name: str) -> int:
        path = folder / name
        state = path.stat()
        key = [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
        if (row := rows.get(name)) is not None and row[:3] == key:
            return int(row[3])
        image = decode_deep(path.read_bytes())
        peak = 0 if image is None else int(image.max())
        news[name] = [*key, peak]
        return peak

    with ThreadPoolExecutor() as pool:
        peaks = list(pool.map(measure, names))
    if news:
        save_rows(cache, folder, news, _SUBJECT)
    return peaks


def bits_of(peak: int) -> int:
    """Return the depth of images with this largest value: the least of `DEPTHS` that holds it."""
    return next(bits for bits in DEPTHS if peak < 1 << bits)


def decode_scaled(content: bytes, bits: int, flags: int = 0) -> UInt8[np.ndarray, "H W 3"] | None:
    """Return an image, RGB, that has values of so many bits if more than 8; None if it is none.

    `flags` are of the orientation. Of larger values than the bits hold, the largest remains.
    """
    if bits == FULL:
        return decode(content, RGB | flags)
    image = decode_deep(content, flags)
    if image is not None and image.dtype != np.uint8:
        image = np.minimum(image >> (bits - 8), 255)
    return None if image is None else np.asarray(image, dtype=np.uint8)
