"""What annotation tools export is checked, trained on, scored and drawn as it is."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runners.cli import main as cli
from runners.evaluation.coco.score import score
from tests.support.foreign_exports import CLASSES, EXPORTS, HEIGHT, WIDTH, Export
from yolact_bench.data import open_dataset
from yolact_bench.data.protocol import Dataset
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.findings import count_kinds
from yolact_bench.spec.accuracies import COCO_METRICS


@pytest.fixture(params=EXPORTS)
def export(request: pytest.FixtureRequest, tmp_path: Path) -> Export:
    return EXPORTS[request.param](tmp_path)


def command(*words: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["yolact-bench", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    return int(stopped.value.code or 0)


def open_split(export: Export, split: str) -> Dataset:
    choice = dataset_choice(str(export.dataset_yaml), relative_to=Path())
    return open_dataset(resolve_dataset(choice, data_root=None), split)


def detections(clean: dict[str, Any]) -> list[dict[str, Any]]:
    """Every object of the clean file found, each a little beside its place and some as others."""
    random = np.random.default_rng(0)
    found = []
    for one in clean["annotations"]:
        x, y, width, height = (one["bbox"] + random.uniform(-4, 4, 4)).tolist()
        outline = [x, y, x + width, y, x + width, y + height, x, y + height]
        mask = rle.merge(rle.frPyObjects([outline], HEIGHT, WIDTH))
        mask["counts"] = mask["counts"].decode()
        label = one["category_id"] - 1 if random.random() < 0.8 else int(random.integers(2))
        what = {"image_id": one["image_id"], "category_id": label + 1}
        found.append(what | {"score": random.random(), "bbox": [x, y, width, height]})
        found[-1]["segmentation"] = mask
    return found


def reference(clean: dict[str, Any], found: list[dict[str, Any]], kind: str) -> list[float]:
    """The 12 numbers of pycocotools on the clean file."""
    truth = COCO()
    truth.dataset = json.loads(json.dumps(clean)) | {"info": {}}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes([dict(one) for one in found]), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(number) for number in evaluation.stats]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_scores_are_those_of_pycocotools_on_the_repaired_file(export: Export, kind: str) -> None:
    data = open_split(export, "val")
    found = detections(export.clean)
    shape = {"bbox": "segmentation", "segm": "bbox"}[kind]  # the other one would be taken first
    for one in found:
        del one[shape]
    wanted = reference(export.clean, found, kind)
    ours = [one | {"category_id": data.category_ids[one["category_id"] - 1]} for one in found]
    names = dict(zip(data.category_ids, data.classes, strict=True))
    for engine in ("pycocotools", "vectorised"):
        result = score(data.ground_truth(), ours, kind=kind, class_names=names, scoring=engine)
        numbers = [getattr(result, name) for name in COCO_METRICS]
        assert [-1.0 if number is None else number for number in numbers] == wanted
    assert 0.1 < wanted[0] < 0.9


def test_objects_classes_and_findings(export: Export) -> None:
    data = open_split(export, "val")
    assert data.classes == CLASSES
    wanted = export.clean["annotations"]
    labels, crowds = [], 0
    for index in range(len(data)):
        objects = data.objects(index)
        labels += objects.labels.tolist()
        crowds += int(objects.is_crowd.sum())
    assert sorted(labels) == sorted(one["category_id"] - 1 for one in wanted)
    assert crowds == sum(one["iscrowd"] for one in wanted)
    assert export.findings <= count_kinds(data.findings).keys()
    assert bool(export.findings) == bool(data.findings)


@pytest.mark.slow
def test_every_command_takes_an_export(export: Export, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert command("data", "check", export.dataset_yaml) == 0
    schedule = "{name: steps, iterations: 3, batch_size: 2, lr: 0.001, warmup: 1, steps: [2]}"
    settings = ["image_size=72", "precision=fp32", "batch_norm=train", f"schedule={schedule}"]
    words = [word for one in settings for word in ("--set", one)]
    place = ["--work-dir", work, "--device", "cpu"]
    data = ["--dataset", export.dataset_yaml]
    assert command("train", "yolact_tiny", *data, *place, *words) == 0
    (weights,) = work.rglob("final.pt")
    run = weights.parent / "run.yaml"
    assert command("evaluate", run, "--weights", weights, *data, *place) == 0
    drawn = tmp_path / "drawn"
    picture = next(
        path for path in export.images.rglob("*") if path.suffix != ".json" and path.is_file()
    )
    words = ["--weights", weights, "--out", drawn, "--device", "cpu", "--min-score", "0.9"]
    assert command("predict", picture, *words) == 0
    assert len(list(drawn.iterdir())) == 1
