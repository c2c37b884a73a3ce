"""Any set of images annotated in COCO's format."""

import numpy as np
from jaxtyping import UInt8

from yolact_bench.data.annotations import read_annotations
from yolact_bench.data.image_folder import ImageFolder
from yolact_bench.data.objects import Objects
from yolact_bench.data.split_files import FileSizes
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.split import FileSplit
from yolact_bench.findings import Finding


class CocoDataset:
    """A split whose annotations are in memory, compactly, and whose images are read on demand.

    Images without annotations are kept. Everything that can be known without decoding an
    image is checked when the split is opened.
    """

    def __init__(self, spec: DatasetSpec, split: str) -> None:
        spec.require(split)
        files = spec.split(split)
        assert isinstance(files, FileSplit)
        annotations = read_annotations(
            files.annotations,
            spec.classes,
            subset=spec.subset,
            split=split,
            size_of=FileSizes(files, spec.cache),
            cache=spec.cache,
        )
        self._folder = ImageFolder(spec, split, annotations.images)
        self._annotations = annotations
        self.classes, self.category_ids = annotations.classes, annotations.category_ids
        self.findings = annotations.findings + self._folder.findings

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
        return self._folder.image(index)

    def file_content(self, index: int) -> bytes:
        """Return the content of an image's file."""
        return self._folder.path(index).read_bytes()

    def objects(self, index: int) -> Objects:
        """Return the usable objects of an image, crowds last."""
        return self._annotations.objects(index)

    def without_cell(self, side: int) -> tuple[Finding, ...]:
        """Return the objects that are too small for masks of `side` cells a side."""
        return self._annotations.without_cell(side)

    def ground_truth(self) -> dict[str, object]:
        """Return images, annotations and categories as they were read, in COCO's format.

        Images have the names of their files.
        """
        return self._annotations.ground_truth(self._folder.changes)
