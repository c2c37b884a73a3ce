"""The whole flow on an ablation of seconds: what is done once is not done again."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from reports.pages.build import build
from runners.tracking.events import Phase
from tests.support.built_reports import build_text, main_table
from tests.support.no_tracker import NoTracker
from tests.support.small_ablation import SPEC, context, plan_spec, run_spec, write_spec
from yolact_bench.errors import SpecError
from yolact_bench.results.manifest import PlannedRun
from yolact_bench.results.record import Accuracy, Failure, Latency


class Listener(NoTracker):
    """A tracker that remembers the arms that trained."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: dict[str, Phase] = {}
        self.trained: set[str] = set()

    def arm_started(self, planned: PlannedRun, phase: Phase) -> None:
        self.phases[planned.arm] = phase

    def log_training(
        self, arm: str, seed: int, iteration: int, metrics: Mapping[str, float]
    ) -> None:
        self.trained.add(arm)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Listener]:
    """A work directory in which the small ablation has been run once."""
    folder = tmp_path_factory.mktemp("flow")
    spec, listener = write_spec(folder), Listener()
    run_spec(spec, context(folder / "work", tracker=listener))
    return spec, folder / "work", listener


def test_every_arm_has_an_accuracy_and_a_latency_of_one_session(
    finished: tuple[Path, Path, Listener],
) -> None:
    records = context(finished[1]).store.records()
    assert [r.arm for r in records if isinstance(r, Accuracy)] == ["k_4", "sequential", "k_2"]
    latencies = [r for r in records if isinstance(r, Latency)]
    assert [r.arm for r in latencies] == ["k_4", "k_2", "sequential"]
    assert len({r.session for r in latencies}) == 1
    assert all(r.timer == "wall clock" for r in latencies)


def test_an_arm_that_changes_detection_alone_trains_nothing(
    finished: tuple[Path, Path, Listener],
) -> None:
    _, work, listener = finished
    assert listener.trained == {"k_4", "k_2"}
    assert listener.phases["sequential"] == "evaluate"
    assert len(list((work / "checkpoints").iterdir())) == 2


def test_the_report_has_every_arm(finished: tuple[Path, Path, Listener]) -> None:
    report = build(finished[1], "small")
    assert all(arm in main_table(report) for arm in ("k_4", "k_2", "sequential"))
    assert (report.folder / "report.html").read_text().startswith("<!")
    assert {p.suffix for p in report.folder.rglob("*")} >= {
        ".md",
        ".html",
        ".csv",
        ".tex",
        ".png",
        ".svg",
    }


def test_running_twice_trains_evaluates_and_times_nothing_the_second_time(
    finished: tuple[Path, Path, Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, work, _ = finished
    before = (work / "results.jsonl").read_bytes()
    table = main_table(build_text(work, "small"))
    for name in (
        "runners.arms.train.train",
        "runners.arms.evaluate.predict",
        "runners.timing.records.time_session",
    ):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("did something again"))
    again = Listener()
    run_spec(spec, context(work, tracker=again))
    assert again.trained == set()
    assert (work / "results.jsonl").read_bytes() == before
    assert main_table(build_text(work, "small")) == table


def test_a_plan_says_what_is_shared_and_what_is_done(
    finished: tuple[Path, Path, Listener], tmp_path: Path
) -> None:
    spec, work, _ = finished
    fresh = plan_spec(spec, context(tmp_path))
    assert (fresh.trainings, fresh.evaluations, fresh.timed) == (2, 3, False)
    assert [step.shares for step in fresh.steps] == [None, None, "k_4"]
    done = plan_spec(spec, context(work))
    assert (done.trainings, done.evaluations, done.timed) == (0, 0, True)


def test_a_typo_in_the_last_arm_stops_before_any_training(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, SPEC.replace("grid_px: 72", "grid_pz: 64"))
    wanted = r"small\.yaml:\d+: arms\.sequential.*did you mean 'grid_px'"
    with pytest.raises(SpecError, match=wanted):
        run_spec(spec, context(tmp_path / "work"))
    assert not (tmp_path / "work").exists()


def test_a_failing_arm_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    failing = "  k_2: {protonet.k: 2, schedule.lr: 1.0e+6}\n"
    spec = write_spec(tmp_path, SPEC.replace("  k_2: {protonet.k: 2}\n", failing))
    work = tmp_path / "work"
    run_spec(spec, context(work))
    store = context(work).store
    failures = [r for r in store.records() if isinstance(r, Failure)]
    assert [(f.arm, f.phase, f.kind) for f in failures] == [("k_2", "train", "non_finite_loss")]
    assert "schedule.lr" in failures[0].message
    done = [r.arm for r in store.records() if isinstance(r, Accuracy)]
    assert done == ["k_4", "sequential"]

    run_spec(spec, context(work))  # is not repeated without --retry-failed
    assert sum(isinstance(r, Failure) for r in store.records()) == 1
    run_spec(spec, context(work, retry_failed=True))
    assert sum(isinstance(r, Failure) for r in store.records()) == 2
    assert "k_2" in main_table(build_text(work, "small"))


def test_a_new_arm_trains_alone_but_is_timed_with_the_others(
    finished: tuple[Path, Path, Listener], tmp_path: Path
) -> None:
    spec, work, _ = finished
    larger = write_spec(tmp_path, spec.read_text() + "  k_3: {protonet.k: 3}\n")
    listener = Listener()
    run_spec(larger, context(work, tracker=listener))
    assert listener.trained == {"k_3"}
    latest = context(work).store.records()[-4:]
    assert [r.arm for r in latest] == ["k_4", "k_2", "sequential", "k_3"]
    assert all(isinstance(r, Latency) for r in latest)
