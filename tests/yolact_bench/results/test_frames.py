"""Data frames and exported tables have the numbers of the report."""

import csv
import re
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from reports.pages.build import read
from reports.tables.csv import csv_files
from runners.cli.report_commands import export_results
from tests.support import fake_work
from yolact_bench.errors import SpecError
from yolact_bench.results.frames import Results, export
from yolact_bench.results.store import Store

DOC = Path(__file__).parents[3] / "docs" / "notebooks.md"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two seeds of every arm, resampled and analysed, and a timing session."""
    arms = [arm for arm in fake_work.ARMS if arm != "broken"]
    accuracies = [
        fake_work.accuracy(arm, seed=seed, shift=0.002 * seed) for arm in arms for seed in (0, 1)
    ]
    records = [
        *accuracies,
        fake_work.failure(),
        *(fake_work.latency(arm) for arm in arms),
        *(fake_work.errors(arm) for arm in arms),
    ]
    work = fake_work.write_work(tmp_path / "work", records, fake_work.manifest(seeds=(0, 1)))
    for place, record in enumerate(accuracies):
        fake_work.write_resamples(work, record, noise=0.001 * (place % 3))
    return work


def report(work: Path, name: str) -> list[dict[str, str]]:
    """The lines of a CSV file of the report."""
    return list(csv.DictReader(csv_files(read(work, fake_work.NAME))[name].splitlines()))


def test_the_mean_accuracy_of_an_arm_is_that_of_the_report(work: Path) -> None:
    means = Results(work, fake_work.NAME).accuracy().groupby("arm").mean(numeric_only=True)
    lines = [line for line in report(work, "table.csv") if line["arm"] != "broken"]
    assert len(lines) == len(means) == 4
    for line in lines:
        for metric in ("mask_ap", "box_ap50", "mask_ar_100", "mask_ap_iou_0.75"):
            assert means.loc[line["arm"], metric] == pytest.approx(float(line[metric]), rel=1e-12)
    assert means["mask_ap_large"].isna().all(), "fake objects are never large"


def test_differences_are_those_of_the_report_to_the_last_digit(work: Path) -> None:
    frame = Results(work, fake_work.NAME).differences()
    lines = report(work, "differences.csv")
    assert len(lines) == len(frame) > 0
    for line, row in zip(lines, frame.to_dict("records"), strict=True):
        assert (row["arm"], row["metric"], row["baseline"]) == (
            line["arm"],
            line["metric"],
            line["baseline"],
        )
        for column in ("delta", "low", "high", "image_se", "p"):
            assert repr(float(row[column])) == line[column]
        assert row["is_real"] == (line["verdict"] == "real")


def test_every_timed_call_is_a_row_and_their_median_is_the_reports(work: Path) -> None:
    frame = Results(work, fake_work.NAME).latency()
    assert len(frame) == 4 * fake_work.ROUNDS
    assert frame["image_id"].tolist()[:3] == [0, 1, 2]
    for line in report(work, "latency.csv"):
        if line["arm"] == "broken":
            continue
        mine = frame[(frame["arm"] == line["arm"]) & (frame["session"] == line["session"])]
        assert mine["ms"].median() == pytest.approx(float(line["latency_median_ms"]), rel=1e-12)


def test_classes_and_errors_are_in_points(work: Path) -> None:
    """AP falls by 2 points from class to class; localisation costs 8."""
    results = Results(work, fake_work.NAME)
    classes = results.per_class()
    first = classes.query("arm == 'fast' and seed == 0 and kind == 'box'")
    assert first["class"].tolist() == list(fake_work.CLASSES)
    assert first["ap"].tolist() == pytest.approx([35.0, 33.0, 31.0, 29.0, 27.0])
    errors = results.errors()
    row = errors[(errors["arm"] == "fast") & (errors["type"] == "localisation")]
    assert row["ap"].tolist() == pytest.approx([8.0, 8.0])  # mask, box


def test_without_an_ablation_all_records_are_read_and_nothing_is_compared(work: Path) -> None:
    results = Results(work)
    assert len(results.accuracy()) == 8
    assert "differences" not in results.tables()
    with pytest.raises(SpecError, match="differences need a baseline: write Results"):
        results.differences()


def test_an_unknown_ablation_is_a_users_mistake(work: Path) -> None:
    with pytest.raises(SpecError, match="no such manifest"):
        Results(work, "slow")


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_exported_files_hold_the_frames(
    work: Path, tmp_path: Path, file_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    export_results(
        fake_work.NAME, work_dir=work, file_format=file_format, output=tmp_path / "tables"
    )
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    tables = Results(work, fake_work.NAME).tables()
    assert [path.name for path in paths] == [f"{name}.{file_format}" for name in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        back = pd.read_csv(path) if file_format == "csv" else pd.read_parquet(path)
        assert list(back.columns) == list(table.columns)
        assert len(back) == len(table) > 0


def test_what_is_missing_for_parquet_is_named(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SpecError, match=r"pip install 'yolact-bench\[parquet\]'"):
        export(Results(work), tmp_path, file_format="parquet")
    with pytest.raises(SpecError, match="no format is named 'xlsx'"):
        export(Results(work), tmp_path, file_format="xlsx")


def test_the_snippets_of_the_page_for_notebooks_run(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, as cells; each ends in an expression with a value."""
    monkeypatch.chdir(work.parent)
    page = (
        DOC.read_text().replace('"quickstart"', f'"{fake_work.NAME}"').replace('"k_16"', '"fast"')
    )
    cells = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(cells) >= 5
    names: dict[str, object] = {}
    for cell in cells:
        *before, last = cell.strip().split("\n\n")
        exec("\n\n".join(before), names)
        value = eval(last, names) if last.startswith("(") else exec(last, names)
        assert value is None or len(value) > 0


def test_exported_names_are_no_formulas_and_numbers_stay(tmp_path: Path) -> None:
    work = tmp_path / "work"
    record = replace(fake_work.accuracy("fast"), arm="=1+1")
    Store(work / "results.jsonl").add(record)
    export(Results(work), tmp_path / "out", file_format="csv")
    text = (tmp_path / "out/accuracy.csv").read_text()
    assert "'=1+1" in text
    assert f"{100 * fake_work.ARMS['fast'][1]}" in text
