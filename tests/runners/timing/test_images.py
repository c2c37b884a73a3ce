"""The images that arms are timed on."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from runners.timing.images import as_picture, read_pictures
from tests.support.data_fixtures import tiny_spec
from tests.support.small_detector import noise
from yolact_bench.data import open_dataset


def test_a_picture_is_decoded_to_its_image_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to BGR first, which would then be copied: the pass would be in every time."""
    image = noise()
    picture = as_picture(1, image)
    monkeypatch.setattr(cv2, "cvtColor", None)
    assert np.array_equal(picture.decode(), image)


def test_pictures_of_a_data_set_are_the_bytes_of_its_files(tmp_path: Path) -> None:
    dataset = open_dataset(tiny_spec(tmp_path / "set"), "train")
    pictures = read_pictures(dataset)
    assert [picture.image_id for picture in pictures] == [30, 10]
    for picture in pictures:
        file = tmp_path / "set" / "images" / f"{picture.image_id}.png"
        assert picture.encoded == file.read_bytes()
        assert np.array_equal(picture.decode(), picture.decoded)
