"""`predict`: a picture for each image, which shows what the terminal prints."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from runners.cli import predict as predict_module
from runners.cli.arm_commands import PredictCommand
from runners.cli.predict import predict, read_image
from tests.runners.arms.test_draw import found
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.errors import SpecError

SIZE = (60, 80)


class Detector:
    """Two discs in every image: their classes are sure, their masks are not alike."""

    classes = ("disc",)

    def find(self, images: list[np.ndarray]) -> list[SoftDetections]:
        boxes = [[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]]
        scored = found(boxes, [0.9, 0.8], SIZE)
        parts = {name: getattr(scored, name) for name in SoftDetections.__dataclass_fields__}
        rescored = {"mask_scores": torch.tensor([0.2, 0.7]), "labels": torch.tensor([0, 0])}
        return [SoftDetections(**{**parts, **rescored}) for _ in images]


@pytest.fixture(autouse=True)
def detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_module, "load_detector", lambda *_, **__: Detector())


def write_images(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        cv2.imwrite(str(folder / name), np.full((*SIZE, 3), 90, np.uint8))
    return folder


def draw_all(source: Path, out: Path) -> None:
    predict(PredictCommand(source=source, weights=Path("final.pt"), arm="yolact_tiny", out=out))


def test_the_terminal_prints_what_the_picture_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the mask scores 0.2 and 0.7, one is at least 0.3; the class scores are 0.9 and 0.8."""
    drawn: list[list[float]] = []
    draw = predict_module.draw

    def record(image: np.ndarray, shown: SoftDetections, *rest: object, **how: object) -> object:
        drawn.append(shown.mask_scores.tolist())
        return draw(image, shown, *rest, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(predict_module, "draw", record)
    draw_all(write_images(tmp_path / "images", "a.png"), tmp_path / "out")
    assert capsys.readouterr().out.strip() == f"{tmp_path}/out/a.png: disc 0.70"
    assert drawn == [pytest.approx([0.7])]


def test_images_that_differ_in_their_ending_have_two_pictures(tmp_path: Path) -> None:
    draw_all(write_images(tmp_path / "images", "a.jpg", "a.png"), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.jpg.png", "a.png.png"]


@pytest.mark.parametrize("source", ["images", "images/a.png"])
def test_no_picture_replaces_its_image(tmp_path: Path, source: str) -> None:
    folder = write_images(tmp_path / "images", "a.png")
    before = (folder / "a.png").read_bytes()
    with pytest.raises(SpecError, match=r"--out .*images: the images are there"):
        draw_all(tmp_path / source, tmp_path / "x" / ".." / "images")
    assert (folder / "a.png").read_bytes() == before


def test_a_truncated_image_is_refused_and_not_filled_up_with_grey(tmp_path: Path) -> None:
    """OpenCV decodes what there is of such a JPEG, and returns grey for the rest."""
    path = write_images(tmp_path / "images", "a.jpg") / "a.jpg"
    assert read_image(path).shape == (*SIZE, 3)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SpecError, match=r"a\.jpg: the file is truncated"):
        read_image(path)
