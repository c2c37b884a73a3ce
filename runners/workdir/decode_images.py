"""Decode every image of a data set, which finds damage that no header shows."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runners.workdir.dataset_files import splits_to_check
from yolact_bench.data.image_faults import header_fault
from yolact_bench.data.image_file import decode
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.images import Progress
from yolact_bench.dataset_spec.listing import read_listing
from yolact_bench.image_files.names import find_names
from yolact_bench.image_files.scan import ImageFile, scan_images
from yolact_bench.text import count, time_span

_TRIAL = 64  # images from which the time for all is estimated
_CHUNK = 256  # images between two reports of progress
_MOST_LISTED = 1000  # broken images


def decode_images(spec: DatasetSpec, say: Callable[[str], None], progress: Progress) -> bool:
    """Decode all images of a data set that are here; return whether some are broken, and say which.

    Raises:
        SpecError: an annotation file cannot be read.
    """
    broken = [
        f"{split}: {fault}"
        for split in splits_to_check(spec)
        for fault in decode_split(spec, split, say, progress)
    ]
    for line in broken[:_MOST_LISTED]:
        say(line)
    say(f"{count(len(broken), 'image')} cannot be decoded" if broken else "all images are whole")
    return bool(broken)


def decode_split(
    spec: DatasetSpec, split: str, say: Callable[[str], None], progress: Progress
) -> list[str]:
    """Return what is wrong with each image file of a split that cannot be decoded.

    Those that are drawn here have none. How long it will take goes to `say`, as soon as images
    from all parts of the split have been decoded.

    Raises:
        SpecError: no such split, or its annotation file cannot be read.
    """
    spec.require(split)
    if (files := spec.split(split).files) is None:
        return []
    folder, annotations = files
    listing = read_listing(annotations, spec.cache).images
    names = find_names(folder, listing)
    scans = scan_images(folder, names.files, cache=spec.cache)
    title = f"{spec.name} {split}"

    def fault(place: int) -> tuple[int, str]:
        text = names.faults.get(listing[place])
        return place, text or _fault(folder / names.files[place], scans[place])

    faults: dict[int, str] = {}
    total, step = len(scans), max(1, len(scans) // _TRIAL)
    first = list(range(0, total, step))
    rest = [place for place in range(total) if place % step]
    workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        began = time.monotonic()
        faults |= dict(pool.map(fault, first))
        seconds = (time.monotonic() - began) * len(rest) / max(1, len(first))
        say(f"{title}: decoding {count(total, 'image')} takes about {time_span(seconds)}")
        with progress(f"decode {title}", total) as advance:
            for start in range(0, len(rest), _CHUNK):
                faults |= dict(pool.map(fault, rest[start : start + _CHUNK]))
                advance(len(faults))
    return [f"{listing[place]}: {text}" for place, text in sorted(faults.items()) if text]


def _fault(path: Path, scan: ImageFile) -> str:
    if fault := scan.fault or header_fault(path, scan.header):
        return fault
    try:
        return "" if decode(path.read_bytes()) is not None else "cannot be decoded"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
