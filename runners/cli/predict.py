"""Draw detections on an image, or on every image of a folder."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from runners.arms.draw import draw
from runners.cli.arm_commands import PredictCommand
from runners.cli.workplace import device_of
from runners.system.output import echo
from runners.units.settings import parse_settings
from yolact_bench.build import load_detector
from yolact_bench.data.image_file import decode, is_truncated
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.errors import SpecError
from yolact_bench.results.files import atomic_path
from yolact_bench.weights.load import recognise_weights
from yolact_bench.work_names import RUN

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


def predict(command: PredictCommand) -> None:
    """Write one picture per image, and print the detections.

    Raises:
        SpecError: no image, an unreadable image, or weights that do not fit.
    """
    images, min_score = _images(command.source), command.min_score
    pictures = _pictures(images, command.out)
    detector = load_detector(
        command.arm or _arm_of(command.weights),
        weights=command.weights,
        device=device_of(command.device, "cpu"),
        **parse_settings(command.settings or ()),
    )
    output = []
    for path, picture in zip(images, pictures, strict=True):
        image = read_image(path)
        detections = detector.find([image])[0].cpu()
        shown = detections.where(detections.mask_scores >= min_score)
        drawn = draw(image, shown, detector.classes, min_score=min_score)
        with atomic_path(picture) as temporary:
            cv2.imwrite(str(temporary), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        facts = _facts(shown, detector.classes)
        output.append({"image": str(path), "picture": str(picture), "found": facts})
        if not command.as_json:
            names = ", ".join(f"{fact['label']} {fact['score']:.2f}" for fact in facts)
            echo(f"{picture}: {names or f'nothing at or above {min_score}'}")
    if command.as_json:
        echo(json.dumps({"images": output}))


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image file as RGB uint8 [H, W, 3].

    Raises:
        SpecError: the file is unreadable or truncated.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror}); restore it") from error
    if is_truncated(content):
        raise SpecError(f"{path}: the file is truncated; replace it")
    image = decode(content)
    if image is None:
        raise SpecError(f"{path}: not a readable image; convert it to JPEG or PNG")
    return image


def _pictures(images: Sequence[Path], out: Path) -> list[Path]:
    """Return the file of each picture; its name has the image's ending where two differ by it."""
    if out.resolve() == images[0].parent.resolve():
        raise SpecError(
            f"--out {out}: the images are there, and a picture could replace one; write another "
            "folder"
        )
    stems = [path.stem for path in images]
    names = stems if len(set(stems)) == len(stems) else [path.name for path in images]
    return [out / f"{name}.png" for name in names]


def _arm_of(weights: Path) -> str:
    """Return the arm of the weights: the run.yaml beside them, or the preset that they fit."""
    beside = weights.parent / RUN
    if beside.is_file():
        return str(beside)
    if weights.suffix == ".pth":
        return recognise_weights(weights)
    raise SpecError(f"predict: no run.yaml lies beside {weights}; name the arm with --arm")


def _images(source: Path) -> list[Path]:
    if source.is_dir():
        images = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not images:
            raise SpecError(
                f"{source}: the folder has no image; name one with files that end in "
                f"{', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        return images
    if not source.is_file():
        raise SpecError(f"{source}: no such image or folder; write the path of one")
    return [source]


def _facts(shown: SoftDetections, classes: Sequence[str]) -> list[dict[str, object]]:
    columns = shown.labels, shown.mask_scores, shown.boxes_px
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [{"label": classes[label], "score": score, "box_px": box} for label, score, box in rows]
