"""Fine-tuning: it starts from the outputs that are shared, learns, and resumes bit for bit."""

import json
import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runners.arms.train import ensure_trained
from runners.training.checkpoint import save_final
from runners.units.check import resolve_unit
from runners.units.unit import Unit
from tests.support.data_fixtures import coco_subset
from tests.support.golden_reference import released_file
from tests.support.killed_training import Kill, train_until
from tests.support.small_ablation import context, plan_spec, write_spec
from yolact_bench.build import build_network


def state(path: Path) -> dict[str, torch.Tensor]:
    network: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["network"]
    return network


def from_another(folder: Path) -> Unit:
    """A training from a network of two classes, one of them among the five of `shapes`."""
    one = plan_spec(write_spec(folder), context(folder)).steps[0].unit
    assert isinstance(one, Unit)
    run = replace(one.run, classes=("ring", "cloud"))
    save_final(folder / "final.pt", run=run, facts={}, network=build_network(run))
    init = {"name": "detector", "file": str(folder / "final.pt"), "classes": ["ring", "cloud"]}
    return replace(one, run=one.run.changed({"init": init, "schedule.iterations": 2}))


def test_a_fine_tuning_that_was_stopped_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unit = from_another(tmp_path)
    whole, broken = (context(tmp_path / name).place for name in ("whole", "broken"))
    with caplog.at_level(logging.INFO):
        ensure_trained(unit, whole)
    assert "kept: background, ring; random: disc, square, triangle, star" in caplog.text
    stops = nullcontext(lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr("runners.arms.train.graceful_stop", lambda: stops)
        with pytest.raises(KeyboardInterrupt):
            ensure_trained(unit, broken)
    torch.manual_seed(99)
    ensure_trained(unit, broken)
    first, second = (state(place.weights(unit.run)) for place in (whole, broken))
    assert all(torch.equal(first[key], second[key]) for key in first)


def two_classes(folder: Path, subset: Path) -> Path:
    """Twenty photographs with people, and with cars under a name that COCO does not have."""
    content = json.loads((subset / "annotations" / "instances_train.json").read_text())
    names = {one["name"]: one["id"] for one in content["categories"]}
    ours = {names["car"]: 2, names["person"]: 1}
    objects = [
        {**one, "category_id": ours[one["category_id"]]}
        for one in content["annotations"]
        if one["category_id"] in ours and not one["iscrowd"]
    ]
    with_cars = {one["image_id"] for one in objects if one["category_id"] == 2}
    shown = with_cars | {one["image_id"] for one in objects}
    images = [one for one in content["images"] if one["id"] in shown]
    images = sorted(images, key=lambda one: (one["id"] not in with_cars, one["id"]))[:20]
    kept = {one["id"] for one in images}
    content = {
        "images": images,
        "annotations": [one for one in objects if one["image_id"] in kept],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "vehicle"}],
    }
    (folder / "two.json").write_text(json.dumps(content))
    split = f"{{images: {subset / 'images'}, annotations: two.json}}"
    (folder / "two.yaml").write_text(f"name: two\nroot: .\ntrain: {split}\nval: {split}\n")
    return folder / "two.yaml"


@pytest.mark.slow
@pytest.mark.skipif(coco_subset() is None, reason="no COCO subset at hand")
def test_eighty_classes_become_two_on_real_photographs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From the golden weights, for 200 iterations; killed after 120, it ends with the same bits."""
    subset = coco_subset()
    assert subset is not None
    settings = (
        f"init={{name: detector, file: {released_file('yolact_resnet50')}}}",
        "image_size=96",
        "schedule={name: steps, iterations: 200, batch_size: 2, lr: 0.0005, warmup: 20, "
        "steps: [150], clip_norm: 10.0}",
    )
    whole, broken = (
        replace(context(tmp_path / name).place, checkpoint_seconds=20.0)
        for name in ("whole", "broken")
    )
    data = str(two_classes(tmp_path, subset))
    unit = resolve_unit("yolact_r50", data, settings, whole, None, split="val")
    with caplog.at_level(logging.INFO):
        build_network(unit.run)
    assert "kept: background, person; random: vehicle; left out of the file: bicycle" in caplog.text
    assert train_until(unit, whole, tmp_path / "kept", patience=1500) == 0
    log = (whole.checkpoint_folder(unit.run) / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["losses"] for line in log]
    assert len(losses) == 67  # every third of 200 iterations, and the last
    for name in ("class", "mask"):
        assert sum(one[name] for one in losses[-10:]) < sum(one[name] for one in losses[:10]), name
    kill = Kill(during="a step", at=120)
    assert train_until(unit, broken, tmp_path / "killed", kill, patience=1500) == -9
    assert train_until(unit, broken, tmp_path / "resumed", patience=1500) == 0
    first, second = (state(place.weights(unit.run)) for place in (whole, broken))
    assert all(torch.equal(first[key], second[key]) for key in first)
