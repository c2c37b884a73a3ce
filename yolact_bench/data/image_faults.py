"""What is wrong with an image file, as far as its header says."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from yolact_bench.coco_file.images import ImageEntry
from yolact_bench.dataset_spec.split import FileSplit
from yolact_bench.errors import MOST_MISTAKES, SpecError
from yolact_bench.file_kinds import file_kind
from yolact_bench.findings import ORIENTATION, Findings
from yolact_bench.image_files.header import Header
from yolact_bench.image_files.names import Names
from yolact_bench.image_files.scan import ImageFile
from yolact_bench.image_files.source import SAMPLE

# Of an image: no small file shall fill the memory. As RGB it takes 0.8 GB.
MOST_PIXELS = 1 << 28
DEEPEST = 16  # bits of a value


def refuse_faults(
    files: FileSplit, entries: Sequence[ImageEntry], names: Names, scans: Sequence[ImageFile]
) -> None:
    """Check the headers of all images of a split against the sizes that are annotated.

    Raises:
        SpecError: some cannot be used; at most 20 of them are named, the others counted.
    """
    faults = []
    for entry, file, scan in zip(entries, names.files, scans, strict=True):
        if _is_plain(entry, scan):
            continue
        fault = names.faults.get(entry.file_name) or scan.fault
        fault = fault or _size_fault(entry, files.images / file, scan.header)
        if fault:
            faults.append(f"{entry.file_name}: {fault}")
    if not faults:
        return
    rest = len(faults) - MOST_MISTAKES
    lines = [*faults[:MOST_MISTAKES], *([f"and {rest} more"] if rest > 0 else [])]
    separator = "\n  " if len(lines) > 1 else " "
    raise SpecError(
        f"{files.annotations}: {len(faults)} of its {len(entries)} images cannot be used; correct "
        f"names and sizes there, or replace the files in {files.images}:{separator}"
        + separator.join(lines)
    )


def header_fault(path: Path, header: Header) -> str:
    """Return why a file that is whole cannot be decoded; "" where the header gives no reason."""
    if not header.format:
        if cv2.haveImageReader(str(path)):  # looks at the first bytes
            return ""
        with path.open("rb") as file:
            kind = file_kind(file.read(SAMPLE))
        what = f" ({kind})" if kind else ""
        return f"not an image that can be read{what}; convert it to JPEG or PNG"
    if header.width * header.height > MOST_PIXELS:
        return (
            f"{header.width} x {header.height} px by its header, and more than "
            f"{MOST_PIXELS // 10**6} million px are not read; cut it into tiles"
        )
    deepest = 8 if header.format == "jpeg" or header.numbers != "unsigned" else DEEPEST
    if header.bits > deepest:
        numbers = "" if header.numbers == "unsigned" else f"{header.numbers} "
        return (
            f"{header.format} of {numbers}numbers of {header.bits} bits; convert it to 8 or 16 "
            "bits, unsigned, all with one scale"
        )
    return ""


def header_sizes(header: Header) -> Iterator[tuple[int, int]]:
    """Yield width and height as decoded: with the orientation obeyed, then as stored."""
    yield header.oriented
    if header.format != "tiff":  # its decoder always obeys
        yield header.width, header.height


def note_orientations(
    entries: Sequence[ImageEntry], scans: Sequence[ImageFile], findings: Findings
) -> None:
    """Add the images whose annotations are for the image as it is stored, not as it is seen."""
    for entry, scan in zip(entries, scans, strict=True):
        header = scan.header
        if header.format and header.oriented != (entry.width, entry.height):
            text = f"{entry.file_name}: orientation {header.orientation}, annotated as stored"
            findings.add(ORIENTATION, f"image {entry.id}", text)


def _is_plain(entry: ImageEntry, scan: ImageFile) -> bool:
    """Return whether nothing can be wrong: nearly all images are so, and there may be many."""
    header = scan.header
    if scan.fault or not header.format or header.orientation > 1 or scan.is_deep:
        return False
    is_small = header.width * header.height <= MOST_PIXELS
    return is_small and header.width == entry.width and header.height == entry.height


def _size_fault(entry: ImageEntry, path: Path, header: Header) -> str:
    if fault := header_fault(path, header):
        return fault
    size = entry.width, entry.height
    if not header.format or size in header_sizes(header):
        return ""
    width, height = header.oriented
    swapped = " (width and height swapped)" if size == (height, width) else ""
    return f"{width} x {height} px, but annotated as {size[0]} x {size[1]}{swapped}"
