"""What a command needs is opened before its first iteration, and all mistakes come at once."""

from pathlib import Path

import pytest

from runners.ablation.flow import open_data
from runners.cli.arm import evaluate, train
from runners.cli.arm_commands import EvaluateCommand, TrainCommand
from runners.units.workplace import Datasets
from tests.cases.base_set import base_content, write_base
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.dataset_spec.dataset import DatasetSpec, resolve_dataset
from yolact_bench.errors import MissingDataError, SpecError, join_mistakes
from yolact_bench.work_names import CHECKPOINTS

SETTINGS = ["image_size=72", "schedule.iterations=1", "batch_norm=train", "precision=fp32"]


def open_splits(path: Path) -> str:
    """The message of opening both splits of a dataset.yaml."""
    data = resolve_dataset({"name": "coco_format", "file": str(path)}, data_root=None)
    with pytest.raises(SpecError) as caught:
        Datasets().open_all([(data, "train"), (data, "val"), (data, "train")])
    return str(caught.value)


def wrong_boxes(first_image: int, number: int) -> dict[str, object]:
    """The base set with `number` category ids that its file does not list."""
    content = base_content(first_image=first_image)
    for one in content["annotations"][:number]:
        one["image_id"] = "no image"
    return content


@pytest.mark.parametrize("gone", ["103.png", "1.png"])
def test_a_missing_image_of_either_split_stops_before_the_training(
    tmp_path: Path, gone: str
) -> None:
    path = write_base(tmp_path / "set")
    next((tmp_path / "set").glob(f"*/{gone}")).unlink()
    command = TrainCommand(
        arm="yolact_tiny",
        dataset=str(path),
        settings=SETTINGS,
        work_dir=tmp_path / "work",
        device="cpu",
        workers=0,
    )
    with pytest.raises(SpecError, match=rf"1 of its 6 images cannot be used; .* {gone}: does not"):
        train(command)
    assert not (tmp_path / "work" / CHECKPOINTS).exists()


def test_evaluate_says_it_before_anything_is_predicted(tmp_path: Path) -> None:
    path = write_base(tmp_path / "set")
    (tmp_path / "set" / "val" / "103.png").unlink()
    (tmp_path / "w.pt").write_bytes(b"is not looked at")
    command = EvaluateCommand(
        arm="yolact_tiny",
        dataset=str(path),
        weights=tmp_path / "w.pt",
        work_dir=tmp_path / "work",
        device="cpu",
    )
    with pytest.raises(SpecError, match=r"103\.png: does not exist"):
        evaluate(command)


def test_both_splits_are_in_one_message(tmp_path: Path) -> None:
    path = write_base(tmp_path / "set", train=wrong_boxes(1, 2), val=wrong_boxes(101, 1))
    head, first, second, val = open_splits(path).splitlines()
    assert head.endswith("train.json: 2 mistakes")
    assert first.startswith("  annotations[0]")
    assert second.startswith("  annotations[1]")
    assert "val.json: annotations[0]" in val


def test_at_most_20_mistakes_are_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    """Twelve in each split: all of the first, eight of the second."""
    path = write_base(tmp_path / "set", train=wrong_boxes(1, 12), val=wrong_boxes(101, 12))
    lines = open_splits(path).splitlines()
    assert sum(line.startswith("  annotations[") for line in lines) == 20
    assert lines[-1] == "  and 4 more"


def test_mistakes_of_many_files_are_counted_too() -> None:
    many = [SpecError(f"file {number}: 30 mistakes\n  one\n  and 29 more") for number in range(30)]
    lines = str(join_mistakes(many)).splitlines()
    assert lines[:3] == ["file 0: 30 mistakes", "  one", "  and 29 more"]
    assert lines.count("  one") == 20
    assert lines[-1] == "and 10 more"
    assert join_mistakes(many[:1]) is many[0]
    missing = [MissingDataError("a"), MissingDataError("b")]
    assert type(join_mistakes(missing)) is MissingDataError
    assert type(join_mistakes([*missing, SpecError("c")])) is SpecError


def test_a_run_opens_what_all_arms_need_and_each_split_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, str]] = []
    open_one = Datasets.open

    def counted(self: Datasets, data: DatasetSpec, split: str) -> object:
        tried.append((data.name, split))
        return open_one(self, data, split)

    path = write_base(tmp_path / "set", train=wrong_boxes(1, 1), val=wrong_boxes(101, 1))
    drawn = "{name: shapes, train_images: 6, val_images: 3, size: 96}"
    spec = write_spec(tmp_path, SPEC.replace(drawn, str(path)))
    at = context(tmp_path / "work")
    plan = plan_spec(spec, at)
    monkeypatch.setattr(Datasets, "open", counted)
    with pytest.raises(SpecError, match=r"(?s)train\.json: annotations\[0\].*val\.json: annot"):
        open_data(plan, at.place)
    assert sorted(tried) == [("base", "train"), ("base", "val")]
