"""Image files that no annotation file lists: those of a folder, or a single one."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolact_bench.data.image_depth import FULL, bits_of, decode_scaled, measure_peaks
from yolact_bench.data.image_faults import header_fault
from yolact_bench.errors import SpecError
from yolact_bench.image_files.names import IMAGE_SUFFIXES
from yolact_bench.image_files.scan import scan_images
from yolact_bench.text import count

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseImages:
    """Image files, why some of them cannot be read, and the scale of those of more than 8 bits."""

    paths: Sequence[Path]
    faults: Mapping[Path, str]
    bits: int

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Return an image as RGB uint8 [H, W, 3].

        Raises:
            SpecError: the file cannot be read, or is no whole image.
        """
        if path in self.faults:
            raise SpecError(f"{path}: {self.faults[path]}")
        image = decode_scaled(path.read_bytes(), self.bits)
        if image is None:
            raise SpecError(f"{path}: not a readable image; convert it to JPEG or PNG")
        return image


def look_at(source: Path) -> LooseImages:
    """Return the images of a folder, by the endings of their names, or the one of this name.

    Images of more than 8 bits have one scale, by the largest value in any of them, so that they
    stay comparable with each other.

    Raises:
        SpecError: there is nothing.
    """
    paths = _list(source)
    folder = paths[0].parent
    scans = scan_images(folder, [path.name for path in paths], cache=None)
    faults: dict[Path, str] = {}
    for path, scan in zip(paths, scans, strict=True):
        fault = f"{scan.fault}; replace it" if scan.fault else header_fault(path, scan.header)
        if fault:
            faults[path] = fault
    deep = [
        path.name
        for path, scan in zip(paths, scans, strict=True)
        if scan.is_deep and path not in faults
    ]
    return LooseImages(paths=paths, faults=faults, bits=_bits(folder, deep))


def _bits(folder: Path, deep: Sequence[str]) -> int:
    if not deep:
        return FULL
    peak = max(measure_peaks(folder, deep, cache=None))
    bits = bits_of(peak)
    log.info(
        "%s of more than 8 bits: values up to %d, divided by %d as of %d bits",
        *(count(len(deep), "image"), peak, 1 << bits - 8, bits),
    )
    return bits


def _list(source: Path) -> list[Path]:
    if not source.is_dir():
        if not source.exists():
            raise SpecError(f"{source}: no such image or folder; write the path of one")
        return [source]
    images = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    images = [path for path in images if not path.is_dir()]
    if not images:
        raise SpecError(
            f"{source}: the folder has no image; name one with files that end in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return images
