"""The page of a sweep: what it says, what it draws, and that it agrees with its file."""

import csv
import dataclasses
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from reports.figures.style import FigureSet
from reports.sweeps.build import build_sweep, check_sweep, render_sweep
from reports.sweeps.figures.draw import FIGURES
from reports.sweeps.numbers import ranking, running_best
from reports.sweeps.sentences import expected_maximum, headline, warnings
from reports.sweeps.tables import best_trials, command, failures
from runners.units.settings import parse_settings
from tests.support.fake_sweeps import (
    LATENCY,
    MASK_AP,
    budget_sweep,
    nms_sweep,
    pareto_sweep,
    save_sweep,
    sweep_of,
    trial_of,
)
from tests.support.fake_work import NAME, write_work
from yolact_bench.results.serialise import plain_fields

STATES = ("complete", "pruned", "over_budget", "failed", "lost", "skipped", "running")


def scored(number: int, ap: float, ms: float = 10.0, **given: object):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return trial_of(number, metrics={"mask_ap": ap, "latency_ms": ms}, **given)


def page(work: Path) -> str:
    """The Markdown page of the sweep nms."""
    return (build_sweep(work, "nms")[0] / "report.md").read_text()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    for sweep in (nms_sweep(), budget_sweep()):
        save_sweep(folder, sweep)
        with pytest.MonkeyPatch.context() as patch:
            if sweep.name == "nms":  # of which no figure is looked at
                patch.setattr("reports.sweeps.build.FIGURES", FigureSet({}))
            build_sweep(folder, sweep.name)
    return folder


def test_the_headline_goes_from_the_base_to_the_best_trial() -> None:
    """0.3120 → 0.3304 is 31.20 → 33.04 points, 1.84 more."""
    nms = {"name": "soft", "sigma": 0.51234}
    sweep = sweep_of(
        scored(0, 0.31), scored(1, 0.3304, changes={"nms": nms}), best=(1,), seconds=30.0
    )

    found, effort = headline(sweep)

    assert found == ("Mask AP 31.20 → 33.04 (+1.84) in trial 1, with nms: soft (sigma = 0.512).")
    assert effort.startswith(
        "2 trials: 2 complete. 30 s, 4.0 trials a minute, none of them trained"
    )


def test_trials_of_an_ablation_took_the_sweep_no_time() -> None:
    """Of four trials one is an arm that was known: three in half a minute."""
    seed = scored(0, 0.31, origin="arm fast of quickstart")
    again = scored(1, 0.31, origin="retry of 0")
    sweep = sweep_of(seed, again, scored(2, 0.3), scored(3, 0.29), best=(0,), seconds=30.0)
    assert "30 s, 6.0 trials a minute" in headline(sweep)[1]
    only = sweep_of(seed, best=(0,), seconds=30.0)
    assert "a minute" not in headline(only)[1]


def test_a_trial_worse_than_the_base_has_a_minus() -> None:
    assert "(−1.20)" in headline(sweep_of(scored(0, 0.30), best=(0,)))[0]


def test_trials_are_ranked_by_front_and_then_by_the_first_objective() -> None:
    """1 and 2 beat each other in one objective; both beat 0; 3 equals 0 in AP and is slower."""
    trials = (scored(0, 0.30, 20), scored(1, 0.31, 15), scored(2, 0.33, 19), scored(3, 0.30, 30))
    sweep = sweep_of(*trials, objectives=(MASK_AP, LATENCY))

    assert [trial.number for trial in ranking(sweep)] == [2, 1, 0, 3]


def test_the_best_so_far_changes_only_where_a_trial_is_really_better() -> None:
    trials = (scored(0, 0.3), scored(1, 0.3), scored(2, 0.2), scored(3, 0.4))
    assert running_best(sweep_of(*trials), MASK_AP) == [(0, 0.3), (3, 0.4)]


def test_the_table_has_the_base_ten_trials_and_all_of_the_front() -> None:
    trials = tuple(scored(i, 0.3 + 0.01 * i, 10 + i) for i in range(14))
    alone = sweep_of(*trials, best=(13,))
    front = sweep_of(*trials, best=tuple(range(14)), objectives=(MASK_AP, LATENCY))

    assert [row[0] for row in best_trials(alone).rows][:3] == ["base", "13 ★", "12"]
    assert len(best_trials(alone).rows) == 1 + 10
    assert len(best_trials(front).rows) == 1 + 14


def test_trials_that_lack_an_objective_are_not_ranked() -> None:
    broken = trial_of(1, metrics={"mask_ap": float("nan")})
    assert ranking(sweep_of(scored(0, 0.3), broken, trial_of(2))) == (scored(0, 0.3),)


def test_the_command_of_a_trial_sets_exactly_what_the_trial_had() -> None:
    """Python writes 1e-05, which YAML reads as a word: the command must give the number back."""
    nms = {"name": "fast", "max_iou": 0.4321987654321, "classes": [1, 2]}
    changes = {"nms": nms, "schedule.lr": 1e-05}
    sweep = sweep_of(trial_of(0, changes=changes), settings={"image_size": 200})

    line = command(sweep, sweep.trials[0])

    settings = re.findall(r"--set (?:'([^']*)'|(\S+))", line)
    own = {"nms": {**nms, "defaults": "component"}}  # and nothing of the preset's
    assert parse_settings([a or b for a, b in settings]) == {"image_size": 200, **changes, **own}
    assert line.startswith(
        "yolact-bench evaluate yolact_tiny --dataset shapes --set image_size=200"
    )


def test_a_trial_that_trains_is_trained_before_it_is_evaluated() -> None:
    line = command(sweep_of(trains=True), trial_of(0, changes={"protonet.k": 8}))
    rest = "yolact_tiny --dataset shapes --set protonet.k=8"
    assert line == f"yolact-bench train {rest} && yolact-bench evaluate {rest}"


def test_the_page_warns_that_the_best_of_many_flatters_itself(work: Path) -> None:
    page = (work / "sweeps/nms/report.md").read_text()
    assert "what is shown is optimistic" in page
    assert "`yolact-bench sweep sweeps/nms.yaml --confirm 3`" in page


def test_confirming_asks_for_no_more_trials_than_the_sweep_did() -> None:
    """Without --trials 20, the sweep would first go on to all trials of its spec."""
    command = "yolact-bench sweep sweeps/nms.yaml --trials 20"
    sweep = sweep_of(scored(0, 0.3), best=(0,), command=command)
    assert f"`{command} --confirm 3`" in warnings(sweep)[0]


@pytest.mark.parametrize(("count", "mean"), [(1, 0.0), (2, 0.564), (3, 0.846), (100, 2.508)])
def test_the_expected_maximum_is_near_the_tabled_one(count: int, mean: float) -> None:
    """1 / √π = 0.564 of two, 3 / (2√π) = 0.846 of three; 2.508 is Tippett's table for 100."""
    assert expected_maximum(count) == pytest.approx(mean, abs=0.05)


def test_a_lost_trial_that_was_asked_again_does_not_count_twice() -> None:
    lost, again = (
        trial_of(0, "lost", reason="its coordinator ended"),
        scored(1, 0.3, origin="retry of 0"),
    )
    assert warnings(sweep_of(lost, again, num_trials=2))[0].startswith(
        "Not finished: 1 of 2 trials outstanding."
    )
    assert "Not finished" not in " ".join(warnings(sweep_of(lost, again, num_trials=1)))


def test_a_shortened_schedule_is_told() -> None:
    """By its field; files of earlier versions say it in their command alone."""
    for sweep in (
        sweep_of(command="yolact-bench sweep sweeps/a.yaml --budget smoke"),
        sweep_of(budget="smoke"),
    ):
        assert any(text.startswith("Proxy: with the smoke budget") for text in warnings(sweep))
    assert "budget" not in plain_fields(sweep_of())  # an earlier version reads it


def test_a_proxy_is_marked_wherever_its_numbers_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    write = Figure.text
    monkeypatch.setattr(Figure, "text", lambda *a, **k: texts.append(a[3]) or write(*a, **k))
    sweep = sweep_of(scored(0, 0.3), scored(1, 0.31), best=(1,), budget="short")
    save_sweep(tmp_path, sweep)

    folder, _ = build_sweep(tmp_path, "nms")

    mark = "(proxy: short budget)"
    lines = (folder / "report.md").read_text().splitlines()
    html = (folder / "report.html").read_text()
    printed = [line for line in lines if line.startswith(("# ", "**The best", "![", "### The"))]
    assert len(printed) >= 3
    assert all(mark in line for line in printed), printed
    assert f'<h1>nms<span class="proxy"> {mark}</span></h1>' in html
    assert html.count(f"{mark}</figcaption>") == html.count("<figcaption>") > 0
    assert "PROXY: short budget" in texts
    assert render_sweep(sweep, width=100, colour=False).startswith(
        "Proxy (short budget): mask AP 31.20 → 31.00"
    )
    with (folder / "trials.csv").open() as file:
        assert {line["budget"] for line in csv.DictReader(file)} == {"short"}


def test_times_of_several_commits_are_named() -> None:
    assert not warnings(sweep_of(commits=("0123456789",)))
    (text,) = warnings(sweep_of(commits=("0123456789", "fedcba9876+changes")))
    assert text.startswith("Times were taken at several commits: 0123456789, fedcba9876+changes.")


def test_failures_are_listed_with_their_reasons() -> None:
    table = failures(sweep_of(scored(0, 0.3), trial_of(1, "failed", reason="train:\n NaN")))
    assert table.rows == (("1", "train: NaN", "–", "2 s"),)


def test_every_kind_of_sweep_has_its_figures(work: Path) -> None:
    of_trainings = {"front", "history", "trainings", "importance", "slices"}
    assert set(FIGURES.stems(nms_sweep())) == {"history", "importance", "slices"}
    assert set(FIGURES.stems(pareto_sweep())) == {"front", "history", "importance", "slices"}
    assert set(FIGURES.stems(budget_sweep())) == of_trainings
    assert {path.name for path in (work / "sweeps/budget/figures").iterdir()} == {
        f"{stem}.{kind}" for stem in of_trainings for kind in ("svg", "png")
    }


def test_the_csv_has_a_line_for_every_trial_in_full_precision(work: Path) -> None:
    with (work / "sweeps/nms/trials.csv").open() as file:
        lines = list(csv.DictReader(file))
    sweep = nms_sweep()
    assert [int(line["trial"]) for line in lines] == list(range(200))
    assert [float(line["mask_ap"]) for line in lines if line["mask_ap"]] == [
        trial.metrics["mask_ap"] for trial in sweep.trials if trial.metrics
    ]
    assert [int(line["trial"]) for line in lines if line["best"] == "True"] == list(sweep.best)


def test_the_same_sweep_gives_the_same_bytes(work: Path, tmp_path: Path) -> None:
    save_sweep(tmp_path, budget_sweep())
    folder, _ = build_sweep(tmp_path, "budget")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert len(paths) > 3
    for path in paths:
        before = work / "sweeps/budget" / path.relative_to(folder)
        assert path.read_bytes() == before.read_bytes(), path


def test_the_page_is_self_contained_and_escapes_what_users_wrote(tmp_path: Path) -> None:
    save_sweep(tmp_path, sweep_of(scored(0, 0.3), best=(0,), question="<b>a | b</b>?"))
    folder, _ = build_sweep(tmp_path, "nms")
    html = (folder / "report.html").read_text()
    assert "&lt;b&gt;a | b&lt;/b&gt;?" in html
    assert not re.search(r'(src|href)="(?!#)', html)
    assert r"\<b>a \| b\</b>?" in (folder / "report.md").read_text()


@pytest.mark.parametrize("state", STATES)
def test_a_sweep_of_one_trial_in_any_state_has_a_page(tmp_path: Path, state: str) -> None:
    save_sweep(tmp_path, sweep_of(trial_of(0, state, reason="why"), base_metrics={}))
    assert "nothing to choose from" in page(tmp_path)
    assert check_sweep(tmp_path, "nms") == ()


def test_a_sweep_without_trials_has_a_page(tmp_path: Path) -> None:
    save_sweep(tmp_path, sweep_of(num_trials=8))
    assert "0 trials." in page(tmp_path)


def test_two_objectives_that_both_grow_have_a_front(tmp_path: Path) -> None:
    box = dataclasses.replace(MASK_AP, metric="box_ap")
    trials = [
        trial_of(i, metrics={"mask_ap": 0.3 + i / 100, "box_ap": 0.4 - i / 100}) for i in range(3)
    ]
    assert "front" in FIGURES.stems(sweep_of(*trials, best=(2, 1, 0), objectives=(MASK_AP, box)))


def test_the_check_tells_what_no_longer_agrees(tmp_path: Path) -> None:
    save_sweep(tmp_path, sweep_of(scored(0, 0.3), best=(0,)))
    folder, _ = build_sweep(tmp_path, "nms")
    assert check_sweep(tmp_path, "nms") == ()

    save_sweep(tmp_path, sweep_of(scored(0, 0.3), scored(1, 0.32), best=(1,)))
    (folder / "report.html").unlink()

    told = "\n".join(check_sweep(tmp_path, "nms"))
    assert "32.00" in told
    assert "report.html: missing" in told
    assert "figures/slices" not in told  # neither trial has parameters


def test_a_confirmed_sweep_quotes_the_numbers_with_more_seeds(tmp_path: Path) -> None:
    write_work(tmp_path)
    save_sweep(tmp_path, sweep_of(scored(0, 0.4), best=(0,), confirm=NAME))

    markdown = page(tmp_path)

    assert f"[Report of {NAME}](../../reports/{NAME}/report.md)" in markdown
    assert f"### From {NAME}" in markdown
    assert "33.5" in markdown  # mask AP 0.3350 of the arm `deformable`
    assert "--confirm 3" not in markdown
