"""Findings where a user sees them: on the terminal, as errors, in records and reports."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from reports.summary.caveats import caveats
from runners.cli.arm import train as train_arm
from runners.cli.arm_commands import TrainCommand
from runners.cli.main import app
from runners.units.workplace import Datasets
from tests.cases.annotation_changes import changed, first
from tests.cases.base_set import write_base
from tests.support.fake_work import accuracy, manifest
from tests.support.small_ablation import SPEC, context, run_spec, write_spec
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.errors import SpecError
from yolact_bench.findings import FINDINGS, strict_kinds
from yolact_bench.results.record import Accuracy
from yolact_bench.results.serialise import from_plain, plain_fields
from yolact_bench.work_names import CHECKPOINTS

ODD = changed(first(area=None, iscrowd="0"))  # two findings


def check(*words: str) -> Result:
    return CliRunner().invoke(app, ["data", "check", *words])


def test_a_check_prints_findings_by_kind_with_their_places(tmp_path: Path) -> None:
    done = check(str(write_base(tmp_path, val=ODD)))
    assert done.exit_code == 0
    assert done.output.splitlines()[2:] == [
        "val: 6 images (0 without objects), 12 objects, 0 crowd regions",
        "  a 6, b 6",
        f"  area computed: 1 ({FINDINGS['area computed']})",
        "    image 1: annotation 1: area null",
        f"  iscrowd read: 1 ({FINDINGS['iscrowd read']})",
        '    image 1: annotation 1: iscrowd "0"',
        "2 findings: 1 area computed, 1 iscrowd read",
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--strict"], 2),
        (["--strict", "all"], 2),
        (["--strict=all"], 2),
        (["--strict", "area computed"], 2),
        (["--strict", "box-computed,area-computed"], 2),
        (["--strict", "box computed"], 0),
        ([], 0),
    ],
)
@pytest.mark.parametrize("is_last", [True, False])
def test_strict_makes_all_kinds_or_some_of_them_errors(
    tmp_path: Path, words: list[str], code: int, is_last: bool
) -> None:
    path = str(write_base(tmp_path, val=ODD))
    assert check(*([path, *words] if is_last else [*words, path])).exit_code == code


def test_a_clean_set_passes_strictly(tmp_path: Path) -> None:
    done = check(str(write_base(tmp_path)), "--strict")
    assert done.exit_code == 0
    assert done.output.endswith("no findings\n")


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"'area compute' \(did you mean 'area computed'\?\)"):
        strict_kinds("area compute")


def test_mistakes_of_all_splits_are_in_one_message(tmp_path: Path) -> None:
    wrong = changed(first(iscrowd=7))
    done = check(str(write_base(tmp_path, train=wrong, val=wrong)))
    assert str(done.exception).count("annotations[0]: annotation 1: iscrowd: expected") == 2


def test_opening_logs_one_line_and_strict_refuses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    choice = dataset_choice(str(write_base(tmp_path, val=ODD)), relative_to=tmp_path)
    spec = resolve_dataset(choice, data_root=None)
    with caplog.at_level(logging.WARNING):
        Datasets().open_all([(spec, "train"), (spec, "val"), (spec, "val")])
    lists = "`yolact-bench data check` lists them"
    assert [record.getMessage() for record in caplog.records] == [
        f"base val: 2 findings: 1 area computed, 1 iscrowd read; {lists}"
    ]
    with pytest.raises(SpecError) as caught:
        Datasets("iscrowd read").open_all([(spec, "train"), (spec, "val")])
    assert str(caught.value).splitlines() == [
        "base val: --strict: 1 finding: 1 iscrowd read",
        f"  iscrowd read: 1 ({FINDINGS['iscrowd read']})",
        '    image 1: annotation 1: iscrowd "0"',
        "  correct them, or leave out --strict",
    ]


def test_a_record_has_the_counts_and_old_records_are_read() -> None:
    odd = accuracy("fast", findings={"area computed": 2}, train_findings={"box computed": 1})
    assert from_plain(Accuracy, plain_fields(odd)) == odd
    plain = plain_fields(accuracy("fast"))
    assert not {"findings", "train_findings"} & plain.keys()
    assert from_plain(Accuracy, plain).findings == {}


def test_a_report_notes_the_findings_of_its_data_once() -> None:
    counts = {"findings": {"area computed": 2}, "train_findings": {"box computed": 1}}
    notes = caveats(manifest(), [accuracy("fast", seed=seed, **counts) for seed in (0, 1)], [])
    lists = "; `yolact-bench data check` lists them."
    assert [note for note in notes if note.endswith(lists)] == [
        f"In shapes val: 2 findings: 2 area computed{lists}",
        f"In the training data: 1 finding: 1 box computed{lists}",
    ]
    assert not any("finding" in note for note in caveats(manifest(), [accuracy("fast")], []))


# At 72 px a mask has 18 x 18 cells, of 4 px in height: the object of 1 px has none.
OF_1_PX = {"segmentation": [[8, 10.5, 38, 10.5, 38, 11.5, 8, 11.5]], "bbox": [8, 10.5, 30, 1]}


def test_objects_without_a_cell_are_errors_before_a_training_begins(tmp_path: Path) -> None:
    train = changed(first(**OF_1_PX, area=30))
    path, work = write_base(tmp_path, train=train), tmp_path / "work"
    options = {
        "dataset": str(path),
        "settings": ["image_size=72"],
        "strict": "object without a cell",
    }
    message = "base train at 72 px: --strict: 1 finding: 1 object without a cell"
    with pytest.raises(SpecError, match=message):
        train_arm(TrainCommand(arm="yolact_tiny", work_dir=work, device="cpu", **options))
    data = "{name: shapes, train_images: 6, val_images: 3, size: 96}"
    at = context(work)
    strict = replace(at, place=replace(at.place, datasets=Datasets("object without a cell")))
    with pytest.raises(SpecError, match=message):
        run_spec(write_spec(tmp_path, SPEC.replace(data, str(path))), strict)
    assert not (work / CHECKPOINTS).exists()


@pytest.mark.slow
def test_a_run_keeps_the_counts_of_both_splits_in_its_records(tmp_path: Path) -> None:
    train = changed(first(**OF_1_PX, area=0, id="1"))
    path = write_base(tmp_path, train=train, val=ODD)
    data = "{name: shapes, train_images: 6, val_images: 3, size: 96}"
    at = context(tmp_path / "work")
    run_spec(write_spec(tmp_path, SPEC.replace(data, str(path))), at)
    records = [one for one in at.store.records() if isinstance(one, Accuracy)]
    assert len(records) == 3
    for record in records:
        assert record.findings == {"area computed": 1, "iscrowd read": 1}
        assert record.train_findings == {
            "area computed": 1, "number read from text": 1, "object without a cell": 1
        }  # fmt: skip
