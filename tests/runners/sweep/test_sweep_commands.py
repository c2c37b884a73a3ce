"""What `report` and `list sweeps` do with a sweep."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reports.figures.style import FigureSet
from reports.sweeps.figures.draw import front
from runners.cli.main import app
from runners.workdir.list_sweeps import sweep_lines
from tests.support.fake_sweeps import budget_sweep, pareto_sweep, save_sweep, sweep_of
from tests.support.fake_work import NAME, write_work


def invoke(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_report_builds_the_page_of_a_sweep_and_checks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.sweeps.build.FIGURES", FigureSet({"front": front}))  # of four
    save_sweep(tmp_path, pareto_sweep())
    assert "12 trials are on the front" in invoke("report", "pareto", "--work-dir", str(tmp_path))
    assert invoke("report", "pareto", "--work-dir", str(tmp_path), "--check") == ""


def test_report_of_an_ambiguous_name_is_of_the_ablation_and_says_so(tmp_path: Path) -> None:
    write_work(tmp_path)
    save_sweep(tmp_path, sweep_of(name=NAME))

    output = invoke("report", NAME, "--work-dir", str(tmp_path))

    assert f"report sweeps/{NAME}" in output
    assert "cross_class_fast" in output
    assert "0 trials." in invoke("report", f"sweeps/{NAME}", "--work-dir", str(tmp_path))


def test_sweeps_are_listed_with_their_trials_and_best_value(tmp_path: Path) -> None:
    save_sweep(tmp_path, pareto_sweep())
    sweep = budget_sweep()
    save_sweep(tmp_path, sweep)

    _, budget, pareto = sweep_lines(tmp_path)

    best = next(trial for trial in sweep.trials if trial.number == sweep.best[0])
    assert f"mask_ap {100 * best.metrics['mask_ap']:.2f}" in budget
    assert "1 failed" in budget
    assert f"{len(pareto_sweep().best)} on the front" in pareto


def test_a_proxy_is_marked_in_the_list(tmp_path: Path) -> None:
    save_sweep(tmp_path, budget_sweep(budget="short"))
    _, line = sweep_lines(tmp_path)
    assert line.startswith("budget [short budget: a proxy]")


def test_the_list_of_sweeps_has_a_json_form(tmp_path: Path) -> None:
    save_sweep(tmp_path, budget_sweep())
    output = json.loads(invoke("list", "sweeps", "--work-dir", str(tmp_path), "--json"))
    assert [sweep["name"] for sweep in output["sweeps"]] == ["budget"]
    assert sum(output["sweeps"][0]["states"].values()) == 48


def test_without_sweeps_the_list_says_so(tmp_path: Path) -> None:
    assert list(sweep_lines(tmp_path)) == [f"no sweeps in {tmp_path}"]
