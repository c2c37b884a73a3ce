"""Results are of the images, classes and weights that were asked about."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from reports.summary.caveats import caveats
from runners.cli.arm import evaluate, train
from runners.cli.arm_commands import EvaluateCommand, TrainCommand
from runners.evaluation.files import BOX_FILE
from runners.training.checkpoint import save_final
from runners.units.check import resolve_unit
from runners.units.unit import run_yaml
from runners.units.workplace import Workplace
from tests.cases.base_set import base_content, draw_images, write_base
from tests.support.fake_work import manifest
from yolact_bench.build import build_network
from yolact_bench.dataset_spec.dataset import resolve_dataset
from yolact_bench.errors import SpecError
from yolact_bench.results.store import open_store
from yolact_bench.work_names import RUN

SETTINGS = [
    *("image_size=72", "schedule.iterations=1", "schedule.batch_size=2", "batch_norm=train"),
    *("precision=fp32", "nms.min_score=0.001", "init=none"),
]


def trained(path: Path, work: Path, **options: object) -> dict[str, object]:
    """Train for one iteration; return the options of a command on the same arm."""
    how = {
        "arm": "yolact_tiny",
        "dataset": str(path),
        "settings": SETTINGS,
        "work_dir": work,
        "device": "cpu",
        "workers": 0,
    }
    train(TrainCommand(**how, validate_every=0))  # type: ignore[arg-type]
    return how | options


def test_replaced_images_are_evaluated_again(tmp_path: Path) -> None:
    """One annotation file throughout; the training, whose images stay, is not repeated."""
    how = trained(write_base(tmp_path / "set"), tmp_path / "work")
    evaluate(EvaluateCommand(**how))  # type: ignore[arg-type]
    evaluate(EvaluateCommand(**how))  # type: ignore[arg-type]
    draw_images(tmp_path / "set" / "val", [f"{n}.png" for n in range(101, 107)], seed=7)
    evaluate(EvaluateCommand(**how))  # type: ignore[arg-type]

    first, second = open_store(tmp_path / "work").records()
    assert first.train_digest == second.train_digest
    assert first.detect_digest != second.detect_digest
    folder = tmp_path / "work" / "predictions"
    files = [folder / one.detect_digest / BOX_FILE for one in (first, second)]
    assert files[0].read_bytes() != files[1].read_bytes()


def test_a_copied_data_set_is_the_same(tmp_path: Path) -> None:
    write_base(tmp_path / "set")
    shutil.copytree(tmp_path / "set", tmp_path / "copy", copy_function=shutil.copyfile)
    place = Workplace(work_dir=tmp_path / "work", device="cpu", workers=0)
    paths = (str(tmp_path / name / "dataset.yaml") for name in ("set", "copy"))
    units = [resolve_unit("yolact_tiny", one, SETTINGS, place, None, split="val") for one in paths]
    assert units[0].detect_digest == units[1].detect_digest


def write_weights(folder: Path, classes: Sequence[str], *, says_classes: bool = True) -> Path:
    """Write weights of random class outputs for the base set with these classes, and run.yaml."""
    content = base_content(classes)
    path = write_base(folder / "own", train=content, val=base_content(classes, first_image=101))
    place = Workplace(work_dir=folder, device="cpu", workers=0)
    unit = resolve_unit("yolact_tiny", str(path), SETTINGS, place, None, split="val")
    torch.manual_seed(0)
    network = build_network(unit.run, initial=False)
    torch.nn.init.normal_(network.head.scores.bias)  # type: ignore[arg-type]
    facts = {"iterations": 1, "seconds": 1.0, "images_per_second": 1.0}
    facts |= {"skipped_annotations": 0, "train_digest": unit.train_digest}
    file = folder / "final.pt"
    save_final(file, run=unit.run, facts=facts | {"peak_memory_mb": None}, network=network)
    (folder / RUN).write_text(run_yaml(unit.run))
    if not says_classes:
        state = torch.load(file, weights_only=True)
        del state["classes"]
        torch.save(state, file)
    return file


def scores_of(path: Path, weights: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `evaluate --weights --json` prints of a data set."""
    capsys.readouterr()
    command = EvaluateCommand(
        arm="yolact_tiny",
        dataset=str(path),
        weights=weights,
        settings=SETTINGS,
        work_dir=work,
        device="cpu",
        workers=0,
        as_json=True,
    )
    evaluate(command)
    return capsys.readouterr().out


@pytest.mark.parametrize("says_classes", [pytest.param(True, marks=pytest.mark.slow), False])
def test_labels_of_weights_are_those_of_the_data_by_name(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    says_classes: bool,
) -> None:
    """The data list b, a: the same objects and detections under other numbers, so equal scores.

    A checkpoint of an earlier version does not say its classes: the run.yaml beside it does.
    """
    weights = write_weights(tmp_path / "ab", ("a", "b"), says_classes=says_classes)
    contents = [base_content(("b", "a"), first_image=first) for first in (1, 101)]
    swapped = write_base(tmp_path / "ba", train=contents[0], val=contents[1])
    own = tmp_path / "ab" / "own" / "dataset.yaml"
    of_own = json.loads(scores_of(own, weights, tmp_path / "work", capsys))
    assert "mapped by name" not in caplog.text
    of_swapped = json.loads(scores_of(swapped, weights, tmp_path / "work", capsys))
    assert "labels are mapped by name: it detects a, b, and the data has b, a" in caplog.text
    assert of_own["box"]["ap_by_class"].keys() == {"a", "b"}
    for kind in ("box", "mask"):
        by_class = [one[kind]["ap_by_class"] for one in (of_own, of_swapped)]
        assert by_class[1] == pytest.approx(by_class[0], abs=1e-9)
    assert of_own["box"]["ap_by_class"]["a"] != of_own["box"]["ap_by_class"]["b"]


@pytest.mark.slow
def test_predictions_that_an_earlier_version_left_with_other_labels_are_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_weights(tmp_path / "ab", ("a", "b"))
    contents = [base_content(("b", "a"), first_image=first) for first in (1, 101)]
    swapped = write_base(tmp_path / "ba", train=contents[0], val=contents[1])
    before = scores_of(swapped, weights, tmp_path / "work", capsys)
    (folder,) = (tmp_path / "work" / "predictions").iterdir()
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["weights"].endswith(" by name")
    earlier = {**meta, "weights": meta["weights"].removesuffix(" by name")}
    (folder / "meta.json").write_text(json.dumps(earlier))
    (folder / BOX_FILE).write_text("[]")
    assert scores_of(swapped, weights, tmp_path / "work", capsys) == before
    assert json.loads((folder / BOX_FILE).read_text())


def test_weights_of_other_classes_are_refused_with_both_lists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_weights(tmp_path / "ab", ("a", "b"))
    contents = [base_content(("a",), first_image=first) for first in (1, 101)]
    path = write_base(tmp_path / "a", train=contents[0], val=contents[1])
    with pytest.raises(SpecError, match=r"\(a, b\), and the data has 1 class \(a\) "):
        scores_of(path, weights, tmp_path / "work", capsys)
    assert not (tmp_path / "work" / "predictions").exists()


def test_a_larger_val_file_with_ids_in_another_order_changes_neither_labels_nor_training(
    tmp_path: Path,
) -> None:
    """Before, the smaller of the two files decided the order."""
    path = write_base(tmp_path / "set")
    place = Workplace(work_dir=tmp_path / "work", device="cpu", workers=0)
    before = resolve_unit("yolact_tiny", str(path), SETTINGS, place, None, split="val")

    content = base_content(("b", "a"), first_image=101)
    content["info"] = "x" * (tmp_path / "set" / "train.json").stat().st_size
    (tmp_path / "set" / "val.json").write_text(json.dumps(content))

    after = resolve_unit("yolact_tiny", str(path), SETTINGS, place, None, split="val")
    assert after.run.classes == before.run.classes == ("a", "b")
    assert after.train_digest == before.train_digest
    assert after.run.eval_data != before.run.eval_data
    val = place.datasets.open(after.data, "val")
    labels = {
        val.classes[label]: box
        for box, label in zip(
            val.objects(0).boxes_px.tolist(), val.objects(0).labels.tolist(), strict=True
        )
    }
    assert labels["a"][:2] == [8, 10]
    assert labels["b"][:2] == [50, 30]


def test_the_classes_of_dataset_yaml_are_in_its_own_order(tmp_path: Path) -> None:
    path = write_base(tmp_path / "set")
    path.write_text(path.read_text() + "classes: [b, a]\n")
    data = resolve_dataset({"name": "coco_format", "file": str(path)}, data_root=None)
    assert data.classes == ("b", "a")


def test_a_report_says_whose_images_were_not_recorded() -> None:
    """Work of earlier versions goes on, but nothing says which images it began with."""
    of_earlier = caveats(manifest(unrecorded_images=("base train", "base val")), [], [])
    assert any(note.startswith("Work on base train, base val began before") for note in of_earlier)
    assert not any("recorded" in note for note in caveats(manifest(), [], []))
