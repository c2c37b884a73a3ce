"""Draw detections on an image, or on every image of a folder."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2

from runners.arms.draw import draw
from runners.arms.import_weights import arm_of
from runners.cli.arm_commands import PredictCommand
from runners.cli.workplace import device_of
from runners.system.output import echo
from runners.units.settings import parse_settings
from yolact_bench.build import load_detector
from yolact_bench.data.loose_images import look_at
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.errors import ArmError, SpecError, file_fault
from yolact_bench.results.files import atomic_path
from yolact_bench.text import count

log = logging.getLogger(__name__)


def predict(command: PredictCommand) -> None:
    """Write one picture per image, and print the detections.

    Raises:
        SpecError: no image, a single one that is broken, or weights that do not fit.
        ArmError: images of a folder are broken; pictures of the others are there.
    """
    images, min_score = look_at(command.source), command.min_score
    pictures = _pictures(images.paths, command.out)
    if not command.source.is_dir():
        images.read(command.source)  # before the weights are
    detector = load_detector(
        command.arm or arm_of(command.weights),
        weights=command.weights,
        device=device_of(command.device, "cpu"),
        **parse_settings(command.settings or ()),
    )
    output: list[dict[str, object]] = []
    broken: list[str] = []
    for path, picture in zip(images.paths, pictures, strict=True):
        try:
            image = images.read(path)
        except (SpecError, OSError) as error:
            broken.append(file_fault(error) or str(error))
            continue
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
        echo(json.dumps({"images": output, "broken": broken}))
    if broken:
        title = f"{len(broken)} of {count(len(pictures), 'image')} could not be drawn"
        raise ArmError("bad_image", "\n  ".join([title, *broken]))


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


def _facts(shown: SoftDetections, classes: Sequence[str]) -> list[dict[str, object]]:
    columns = shown.labels, shown.mask_scores, shown.boxes_px
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [{"label": classes[label], "score": score, "box_px": box} for label, score, box in rows]
