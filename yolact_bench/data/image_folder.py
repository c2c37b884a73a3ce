"""The image files of a split: the names, what is known before any is decoded, and the pixels."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from yolact_bench.coco_file.images import ImageEntry
from yolact_bench.data.image_copies import note_copies, note_leaks
from yolact_bench.data.image_depth import choose_bits, decode_scaled
from yolact_bench.data.image_faults import note_orientations, refuse_faults
from yolact_bench.data.image_file import is_truncated
from yolact_bench.data.split_files import as_files, training_files
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.split import FileSplit
from yolact_bench.errors import ArmError
from yolact_bench.findings import IMAGE_NAME, Findings
from yolact_bench.image_files.names import find_names
from yolact_bench.image_files.scan import scan_images


class ImageFolder:
    """The images of a split, as its annotation file lists them.

    Their headers are compared with the annotated sizes when this is made, so that a missing,
    broken or exchanged file stops a command before its first iteration.

    Raises:
        SpecError: images that cannot be used, all in one message.
    """

    def __init__(self, spec: DatasetSpec, split: str, entries: Sequence[ImageEntry]) -> None:
        files = spec.split(split)
        assert isinstance(files, FileSplit)
        # Kept as they are, which loader workers share; unpacked here once.
        self._entries, entries = entries, list(entries)
        self._folder, self._annotations = files.images, files.annotations
        findings = Findings()
        names = find_names(files.images, [entry.file_name for entry in entries])
        scans = scan_images(files.images, names.files, cache=spec.cache)
        refuse_faults(files, entries, names, scans)
        self.changes = names.changes  # of names in the annotation file, to those of files
        for entry in entries if names.changes else ():
            if (name := names.changes.get(entry.file_name)) is not None:
                findings.add(IMAGE_NAME, f"image {entry.id}", f"{entry.file_name} is {name}")
        note_orientations(entries, scans, findings)
        own = as_files(files.images, names.files, scans)
        training = None if split == "train" else training_files(spec)
        self._bits = choose_bits(own, training, findings, cache=spec.cache)
        ids = [entry.id for entry in entries]
        note_copies(own, ids, findings)
        if training is not None:
            note_leaks(training, own, ids, findings)
        self.findings = findings.all()

    def path(self, index: int) -> Path:
        """Return the file of an image."""
        name = self._entries[index].file_name
        return self._folder / self.changes.get(name, name)

    def image(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return the image, RGB.

        An orientation tag is obeyed, unless only ignoring it gives the annotated size.

        Raises:
            ArmError: unreadable, truncated, or not of the annotated size; kind "bad_image".
        """
        entry, path = self._entries[index], self.path(index)
        try:
            content = path.read_bytes()
        except OSError as error:
            message = f"{path}: cannot be read ({error.strerror}); restore it"
            raise ArmError("bad_image", message) from error
        if is_truncated(content):
            raise ArmError("bad_image", f"{path}: the file is truncated; replace it")
        sizes: list[str] = []
        for flags in (0, cv2.IMREAD_IGNORE_ORIENTATION):
            image = decode_scaled(content, self._bits, flags)
            if image is None:
                raise ArmError("bad_image", f"{path}: cannot be decoded; replace it")
            if image.shape[:2] == (entry.height, entry.width):
                return image
            sizes.append(f"{image.shape[1]} x {image.shape[0]}")
        raise ArmError(
            "bad_image",
            f"{path}: {sizes[0]} px, but annotated as {entry.width} x {entry.height}; write its "
            f"width and height in {self._annotations}, or replace the image",
        )
