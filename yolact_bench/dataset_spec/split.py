"""What a split of a data set is made from, before any of its files are read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.dataset_spec.images import images_digest, recall
from yolact_bench.dataset_spec.listing import read_listing
from yolact_bench.file_hash import file_sha256

# Raise when the same options give other images: old checkpoints and scores are then not reused.
SHAPES_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSplit:
    """Images in a folder, and a COCO-format file that annotates them."""

    images: Path
    annotations: Path

    @property
    def files(self) -> tuple[Path, Path] | None:
        """The image folder and the annotation file; None of images that this program draws."""
        return self.images, self.annotations

    def absolute(self) -> "FileSplit":
        """Return the same for a process in another working directory."""
        return FileSplit(images=self.images.absolute(), annotations=self.annotations.absolute())

    def fault(self) -> str:
        """Return which file or folder does not exist, "" where nothing is missing."""
        if not self.annotations.is_file():
            return f"no annotation file {self.annotations}"
        return "" if self.images.is_dir() else f"no image folder {self.images}"

    def identity(self, classes: Sequence[str], images: str, cache: Path | None) -> str:
        """Return a text that changes with the annotations of these classes, and with `images`.

        Without a digest of the images it is that of versions which did not look at them. Where the
        files lie does not count.
        """
        own = [file_sha256(self.annotations, cache), list(classes)]
        return json.dumps([*own, images] if images else own)

    def images_digest(self, cache: Path | None, *, whole: bool = False) -> str:
        """Return a digest of the images that are listed, as `images.images_digest` does."""
        stat = self.annotations.stat()
        key = self, stat.st_ctime_ns, stat.st_size, whole
        names = read_listing(self.annotations, cache).images
        return recall(key, lambda: images_digest(self.images, names, cache=cache, whole=whole))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapesSplit:
    """A stream of drawn images: the same numbers give the same images. Methods as `FileSplit`."""

    seed: int
    stream: int  # 0 for training; 1, 2, … for validation draws: streams share no image
    num_images: int
    size: int  # side of the images, px

    @property
    def files(self) -> tuple[Path, Path] | None:
        return None

    def absolute(self) -> "ShapesSplit":
        return self

    def fault(self) -> str:
        return ""

    def images_digest(self, cache: Path | None, *, whole: bool = False) -> str:
        return ""  # the numbers make the images

    def identity(self, classes: Sequence[str], images: str, cache: Path | None) -> str:
        numbers = [self.seed, self.stream, self.num_images, self.size]
        return json.dumps(["shapes", SHAPES_VERSION, *numbers])


Split = FileSplit | ShapesSplit
