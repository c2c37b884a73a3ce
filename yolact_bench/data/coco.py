"""Any set of images annotated in COCO's format."""

import os
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from yolact_bench.data.annotations import Annotations, read_annotations
from yolact_bench.data.image_file import RGB, decode, is_truncated
from yolact_bench.data.objects import Objects
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.split import FileSplit
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.image_files.scan import scan_images


class CocoDataset:
    """A split whose annotations are in memory, compactly, and whose images are read on demand.

    Images without annotations are kept. Everything that can be known without decoding an
    image is checked when the split is opened.
    """

    def __init__(self, spec: DatasetSpec, split: str) -> None:
        spec.require(split)
        files = spec.split(split)
        assert isinstance(files, FileSplit)
        self._files = files
        annotations = read_annotations(
            files.annotations,
            spec.classes,
            subset=spec.subset,
            split=split,
            size_of=partial(_size_of, files.images),
        )
        _all_exist(files, annotations)
        self._annotations = annotations
        self.classes, self.category_ids = annotations.classes, annotations.category_ids
        self.findings = annotations.findings

    def __len__(self) -> int:
        return len(self._annotations.images)

    def image_id(self, index: int) -> int:
        """Return the file's own number of an image."""
        return self._annotations.images[index].id

    def image(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return the image, RGB.

        An orientation tag is obeyed, unless only ignoring it gives the annotated size.

        Raises:
            ArmError: unreadable, truncated, or not of the annotated size; kind "bad_image".
        """
        entry = self._annotations.images[index]
        path = self._files.images / entry.file_name
        try:
            content = path.read_bytes()
        except OSError as error:
            message = f"{path}: cannot be read ({error.strerror}); restore it"
            raise ArmError("bad_image", message) from error
        if is_truncated(content):
            raise ArmError("bad_image", f"{path}: the file is truncated; replace it")
        sizes: list[str] = []
        for flags in (RGB, RGB | cv2.IMREAD_IGNORE_ORIENTATION):
            image = decode(content, flags)
            if image is None:
                raise ArmError("bad_image", f"{path}: cannot be decoded; replace it")
            if image.shape[:2] == (entry.height, entry.width):
                return image
            sizes.append(f"{image.shape[1]} x {image.shape[0]}")
        raise ArmError(
            "bad_image",
            f"{path}: {sizes[0]} px, but annotated as {entry.width} x {entry.height}; write its "
            f"width and height in {self._files.annotations}, or replace the image",
        )

    def file_content(self, index: int) -> bytes:
        """Return the content of an image's file."""
        path = self._files.images / self._annotations.images[index].file_name
        return path.read_bytes()

    def objects(self, index: int) -> Objects:
        """Return the usable objects of an image, crowds last."""
        return self._annotations.objects(index)

    def ground_truth(self) -> dict[str, object]:
        """Return images, annotations and categories as they were read, in COCO's format."""
        return self._annotations.ground_truth()


def _size_of(folder: Path, name: str) -> tuple[int, int] | None:
    """Return width and height of an image as it is decoded, if that is known from its header."""
    (file,) = scan_images(folder, [name], cache=None)
    return None if file.fault or not file.header.format else file.header.oriented


def _all_exist(files: FileSplit, annotations: Annotations) -> None:
    """Check that every image is there, by listing each folder once."""
    wanted: dict[Path, set[str]] = {}
    for entry in annotations.images:
        path = files.images / entry.file_name
        wanted.setdefault(path.parent, set()).add(path.name)
    missing: list[Path] = []
    for folder, names in wanted.items():
        present = {item.name for item in os.scandir(folder)} if folder.is_dir() else set()
        missing += [folder / name for name in names - present]
    if missing:
        missing.sort()
        raise SpecError(
            f"{files.annotations}: {len(missing)} of its {len(annotations.images)} images do not "
            f"exist, the first is {missing[0]}; check the image folder of this split"
        )
