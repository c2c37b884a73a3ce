"""The images that arms are timed on: as a file's bytes, and decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from runners.units.unit import Unit
from runners.units.workplace import Datasets
from yolact_bench.data import Dataset
from yolact_bench.data.image_file import RGB, decode
from yolact_bench.data.scene import draw_scene
from yolact_bench.errors import SpecError

Image = NDArray[np.uint8]  # RGB [H, W, 3]
PICTURES = 16  # real validation images that take turns; each interval needs some turns of all
# Of drawn images, where there is no data set: the most frequent size of COCO.
DRAWN, HEIGHT, WIDTH = 8, 480, 640
_FLAGS = (RGB, RGB | cv2.IMREAD_IGNORE_ORIENTATION)


@runtime_checkable
class HasFiles(Protocol):
    """A data set whose images are files."""

    def file_content(self, index: int) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image in memory."""

    image_id: int
    encoded: bytes
    flags: int  # for OpenCV's decoder
    decoded: Image

    def decode(self) -> Image:
        image = decode(self.encoded, self.flags)
        assert image is not None, "its data set has read it"
        return image


def check_same_images(units: Sequence[Unit]) -> None:
    """Check that units can be timed together: a time says nothing of other images.

    Raises:
        SpecError: two units are evaluated on different images.
    """
    other = next((unit for unit in units if unit.eval_data != units[0].eval_data), None)
    if other is not None:
        raise SpecError(
            f"{other.title}: evaluated on other images ({other.data.name}) than {units[0].title} "
            f"({units[0].data.name}), so their times do not compare; write measure: [accuracy]"
        )


def read_common_pictures(units: Sequence[Unit], datasets: Datasets) -> list[Picture]:
    """Return the first images that all of these units are evaluated on.

    Raises:
        SpecError: two units are evaluated on different images.
    """
    check_same_images(units)
    return read_pictures(datasets.open(units[0].data, units[0].split))


def read_pictures(dataset: Dataset, count: int = PICTURES) -> list[Picture]:
    """Return the first images of a data set, at most `count`.

    Bytes are those of the file; where there is no file, of a PNG made here.
    """
    return [_picture(dataset, index) for index in range(min(count, len(dataset)))]


def draw_pictures() -> list[Picture]:
    """Return drawn images of a photograph's size, the same each time."""
    rows = slice((WIDTH - HEIGHT) // 2, (WIDTH + HEIGHT) // 2)
    scenes = (draw_scene(np.random.default_rng(number), WIDTH)[0] for number in range(DRAWN))
    return [as_picture(n, np.ascontiguousarray(scene[rows])) for n, scene in enumerate(scenes)]


def as_picture(image_id: int, image: Image) -> Picture:
    """Return a decoded image with the bytes of a PNG."""
    done, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return Picture(image_id=image_id, encoded=content.tobytes(), flags=_FLAGS[0], decoded=image)


def _picture(dataset: Dataset, index: int) -> Picture:
    image, number = dataset.image(index), dataset.image_id(index)
    if isinstance(dataset, HasFiles):
        content = dataset.file_content(index)
        for flags in _FLAGS:  # as the data set does: an orientation is obeyed where sizes agree
            picture = Picture(image_id=number, encoded=content, flags=flags, decoded=image)
            if np.array_equal(picture.decode(), image):
                return picture
    return as_picture(number, image)
