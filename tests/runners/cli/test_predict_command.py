"""`predict`: a picture for each image, which shows what the terminal prints."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from runners.cli import predict as predict_module
from runners.cli.arm_commands import PredictCommand
from runners.cli.predict import predict
from tests.runners.arms.test_draw import found
from tests.support.image_bytes import png_claiming
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.errors import ArmError, SpecError

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


BREAK: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda whole: whole[:-20], "truncated; replace it"),
    "empty": (lambda whole: b"", "0 bytes; replace it"),
    "no image": (lambda whole: b"<html>", "not an image that can be read"),
    "a bomb": (lambda whole: png_claiming(100_000, 100_000), "100000 x 100000 px by its header"),
    "a few wrong bytes": (lambda whole: png_claiming(70, 50), "not a readable image"),
}


@pytest.mark.parametrize("what", BREAK)
def test_a_broken_image_is_refused_and_not_filled_up_with_grey(tmp_path: Path, what: str) -> None:
    """OpenCV decodes what there is of a truncated JPEG, and returns grey for the rest."""
    change, message = BREAK[what]
    path = write_images(tmp_path / "images", "a.jpg") / "a.jpg"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SpecError, match=rf"a\.jpg: {message}"):
        draw_all(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_a_folder_all_others_are_drawn_and_the_broken_reported_together(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(len(BREAK))]
    folder = write_images(tmp_path / "images", "0.png", *names, "z.png")
    for name, (change, _) in zip(names, BREAK.values(), strict=True):
        (folder / name).write_bytes(change((folder / name).read_bytes()))
    (folder / "folder.png").mkdir()
    with pytest.raises(ArmError) as caught:
        draw_all(folder, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["0.png.png", "z.png.png"]
    title, *lines = str(caught.value).splitlines()
    assert title == "5 of 7 images could not be drawn"
    for line, name, (_, message) in zip(lines, names, BREAK.values(), strict=True):
        assert line.strip().startswith(f"{folder / name}: {message}")


def test_deep_images_of_a_folder_have_one_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values up to 4095 are of 12 bits, and divided by 16 in a darker image too."""
    folder = write_images(tmp_path / "images")
    for name, value in (("a.png", 4095), ("b.png", 800)):
        cv2.imwrite(str(folder / name), np.full(SIZE, value, np.uint16))
    images: list[int] = []
    draw = predict_module.draw

    def record(image: np.ndarray, *rest: object, **how: object) -> object:
        images.append(int(image.max()))
        return draw(image, *rest, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(predict_module, "draw", record)
    draw_all(folder, tmp_path / "out")
    assert images == [4095 // 16, 800 // 16]
