"""Draw detections on an image, or on every image of a folder."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from runners.arms.draw import draw
from runners.cli.arm_commands import PredictCommand
from runners.units.settings import parse_settings
from yolact_bench.build import load_detector, recognise_weights
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.errors import SpecError
from yolact_bench.results.files import atomic_path

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


def predict(command: PredictCommand) -> None:
    """Write one picture per image, and print the detections.

    Raises:
        SpecError: no image, an unreadable image, or weights that do not fit.
    """
    images, min_score = _images(command.source), command.min_score
    detector = load_detector(
        command.arm or _arm_of(command.weights),
        weights=command.weights,
        device=command.device or "cpu",
        **parse_settings(command.settings or ()),
    )
    output = []
    for path in images:
        image = read_image(path)
        detections = detector.find([image])[0].cpu()
        picture = command.out / f"{path.stem}.png"
        drawn = draw(image, detections, detector.classes, min_score=min_score)
        with atomic_path(picture) as temporary:
            cv2.imwrite(str(temporary), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        facts = _facts(detections, detector.classes, min_score)
        output.append({"image": str(path), "picture": str(picture), "found": facts})
        if not command.as_json:
            names = ", ".join(f"{fact['label']} {fact['score']:.2f}" for fact in facts)
            typer.echo(f"{picture}: {names or f'nothing at or above {min_score}'}")
    if command.as_json:
        typer.echo(json.dumps({"images": output}))


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image file as RGB uint8 [H, W, 3].

    Raises:
        SpecError: the file is unreadable or cut short.
    """
    data = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if data is None:
        raise SpecError(f"{path}: not a readable image; convert it to JPEG or PNG")
    return cv2.cvtColor(data, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _arm_of(weights: Path) -> str:
    """Return the arm of the weights: the run.yaml beside them, or the preset that they fit."""
    beside = weights.parent / "run.yaml"
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
                f"{source}: the folder has no image ({', '.join(sorted(IMAGE_SUFFIXES))})"
            )
        return images
    if not source.is_file():
        raise SpecError(f"{source}: no such image or folder")
    return [source]


def _facts(
    detections: SoftDetections, classes: Sequence[str], min_score: float
) -> list[dict[str, object]]:
    columns = detections.labels, detections.scores, detections.boxes_px
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {"label": classes[label], "score": score, "box_px": box}
        for label, score, box in rows
        if score >= min_score
    ]
