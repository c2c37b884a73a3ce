"""Trials that train, with a fake executor."""

from dataclasses import replace
from pathlib import Path

import pytest

from runners.sweep.check import check_sweep
from runners.sweep.flow import SweepContext, _manifest, run_sweep
from runners.sweep.storage import storage_url
from runners.sweep.study import Study
from runners.timing.records import TimingLimits
from runners.units.unit import planned_run
from runners.units.workplace import Workplace
from tests.support import fake_work
from tests.support.fake_executor import FakeExecutor
from tests.support.no_tracker import NoTracker
from tests.support.small_ablation import context
from yolact_bench.errors import SpecError
from yolact_bench.results import manifest as manifests
from yolact_bench.results.sweep import Sweep
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.sweep import load_sweep

SPEC = """\
# Which rate?
schema: 1
name: rates
base: yolact_tiny
dataset: {name: shapes, train_images: 6, val_images: 3, size: 96}
set: {image_size: 72, schedule.iterations: 40, schedule.warmup: 2}
trials: 12
pruner: {name: median, n_startup_trials: 2}
space: {schedule.lr: {low: 0.001, high: 0.1, log: true}}
"""

RESCORING = SPEC[: SPEC.index("space:")].replace(
    "\nset: {", "\nset: {rescore_net: {name: mask_iou, channels: [8, 16, 32]}, "
) + (
    "space: {rescore: {none: {}, mask_iou: {}}, mask_iou_loss: {none: {}}, "
    "rescore_net: {none: {}, mask_iou: {channels: [[8, 16, 32]]}}}\n"
)


def rate_of(run: Run) -> float:
    return float(str(run.schedule["lr"]))


def sweep_with(executor: FakeExecutor, folder: Path, text: str = SPEC) -> Sweep:
    file = folder / "rates.yaml"
    file.write_text(text)
    at = context(folder / "work")
    checked = check_sweep(load_sweep(file), at.place, None)
    made = SweepContext(
        place=at.place,
        tracker=NoTracker(),
        timing=TimingLimits(),
        data_root=None,
        storage=None,
        make_executor=lambda: executor,
    )
    return run_sweep(checked, made, command="yolact-bench sweep rates.yaml")


def numbers(sweep: Sweep, state: str) -> list[int]:
    return [trial.number for trial in sweep.trials if trial.state == state]


def test_the_best_rate_is_found_and_what_falls_behind_is_stopped(tmp_path: Path) -> None:
    """AP is the rate itself: a stopped trial had a lower one than half of those before."""
    executor = FakeExecutor(rate_of)

    sweep = sweep_with(executor, tmp_path)

    complete, pruned = numbers(sweep, "complete"), numbers(sweep, "pruned")
    assert len(complete) + len(pruned) == 12
    assert pruned
    rates = {trial.number: float(str(trial.params["schedule.lr"])) for trial in sweep.trials}
    assert sweep.best == (max(complete, key=rates.__getitem__),)
    assert max(rates[number] for number in pruned) < rates[sweep.best[0]]
    assert executor.most_at_once == 2
    assert executor.closed
    best = sweep.trials[sweep.best[0]]
    assert best.metrics["mask_ap"] == rates[best.number]
    assert best.iterations == (10, 20, 30)


def test_a_finished_sweep_starts_no_trial(tmp_path: Path) -> None:
    first = sweep_with(FakeExecutor(rate_of), tmp_path)
    again = FakeExecutor(rate_of)

    second = sweep_with(again, tmp_path)

    assert again.submitted == []
    assert second.trials == first.trials


def test_a_sweep_of_times_stays_on_its_device(tmp_path: Path) -> None:
    """Its study was begun elsewhere: refused before anything is trained."""
    timed = "mode: pareto\nobjectives: {mask_ap: maximise, latency_ms: minimise}"
    text = SPEC.replace("pruner: {name: median, n_startup_trials: 2}", timed)
    file = tmp_path / "rates.yaml"
    file.write_text(text)
    (tmp_path / "work").mkdir()
    Study(load_sweep(file), storage_url(None, tmp_path / "work"), {"device": "H200"})
    executor = FakeExecutor(rate_of)
    with pytest.raises(SpecError, match=r"another device \(then H200, now "):
        sweep_with(executor, tmp_path, text)
    assert executor.submitted == []


def test_a_failed_trial_counts_and_says_why(tmp_path: Path) -> None:
    executor = FakeExecutor(lambda run: None if rate_of(run) > 0.01 else rate_of(run))

    sweep = sweep_with(executor, tmp_path)

    failed = [trial for trial in sweep.trials if trial.state == "failed"]
    assert failed
    assert all("loss" in trial.reason for trial in failed)
    assert len(sweep.trials) == 12


def test_two_choices_of_a_space_that_are_one_run_are_a_mistake(tmp_path: Path) -> None:
    """A trial of each would be trained."""
    file = tmp_path / "twins.yaml"
    twins = "space: {dcn: {every_block: {}, every_nth: {n: [2, 1]}}}"
    file.write_text(SPEC[: SPEC.index("space:")] + twins)
    place = Workplace(work_dir=tmp_path, device="cpu", workers=0)
    with pytest.raises(SpecError, match=r"twins\.yaml:9: space\.dcn\.every_nth\.n: .*'n': 1.* is "):
        check_sweep(load_sweep(file), place, None)


def test_choices_that_do_not_go_together_fail_alone(tmp_path: Path) -> None:
    """Each is possible beside the base; re-scoring without its network is not."""
    sweep = sweep_with(FakeExecutor(lambda run: 0.1), tmp_path, RESCORING)

    (failed,) = [trial for trial in sweep.trials if trial.state == "failed"]
    assert failed.changes["rescore"] == {"name": "mask_iou"}
    assert failed.changes["rescore_net"] == {"name": "none"}
    assert "rescore_net is none" in failed.reason
    assert len(numbers(sweep, "complete")) == 3


def test_arms_of_ablations_seed_a_sweep_and_an_impossible_one_fails_alone(tmp_path: Path) -> None:
    """Re-scoring without its network was possible there, beside another base, and is not here."""
    file = tmp_path / "rates.yaml"
    text = RESCORING.replace("trials: 12", "trials: 4\nseed_from: [earlier]")
    file.write_text(text)
    at = context(tmp_path / "work")
    checked = check_sweep(load_sweep(file), at.place, None)
    choices = {"rescore": "none", "mask_iou_loss": "none", "rescore_net": "none"}
    plain = checked.factory.trial(0, choices)
    bare = replace(plain, run=plain.run.changed({"rescore": "mask_iou"}))
    arms = {"plain": plain, "bare": bare}
    for unit in arms.values():
        at.store.add(fake_work.accuracy("fast", detect_digest=unit.run.detect_digest))
    runs = tuple(replace(planned_run(unit), arm=arm) for arm, unit in arms.items())
    changes: dict[str, dict[str, object]] = {arm: {} for arm in arms}
    earlier = replace(
        _manifest(checked, ""), name="earlier", baseline="plain", arm_changes=changes, runs=runs
    )
    manifests.save(earlier, tmp_path / "work" / "reports" / "earlier")
    executor = FakeExecutor(lambda run: 0.1)

    sweep = sweep_with(executor, tmp_path, text)

    by_origin = {trial.origin: trial for trial in sweep.trials}
    assert by_origin["arm plain of earlier"].state == "complete"
    failed = by_origin["arm bare of earlier"]
    assert failed.state == "failed" and "rescore_net is none" in failed.reason
    assert len(executor.submitted) == 2
    again = sweep_with(FakeExecutor(lambda run: 0.1), tmp_path, text)
    assert sum(trial.origin.startswith("arm ") for trial in again.trials) == 2


def test_a_killed_coordinators_trials_are_finished_once(tmp_path: Path) -> None:
    class Killed(FakeExecutor):
        def wait(self, timeout: float | None = None) -> None:
            raise SystemExit("killed")  # nothing is recorded any more

    with pytest.raises(SystemExit):
        sweep_with(Killed(rate_of), tmp_path)

    sweep = sweep_with(FakeExecutor(rate_of), tmp_path)

    lost = numbers(sweep, "lost")
    assert lost == [0, 1]
    retries = {trial.origin: trial for trial in sweep.trials if trial.origin}
    assert sorted(retries) == ["retry of 0", "retry of 1"]
    assert retries["retry of 1"].params == sweep.trials[1].params
    ended = [str(t.params) for t in sweep.trials if t.state in ("complete", "pruned")]
    assert len(ended) == len(set(ended)) == 12


def test_an_interrupted_sweep_resumes_what_was_running(tmp_path: Path) -> None:
    class Interrupted(FakeExecutor):
        def wait(self, timeout: float | None = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep_with(Interrupted(rate_of), tmp_path)

    sweep = sweep_with(FakeExecutor(rate_of), tmp_path)

    origins = [trial.origin for trial in sweep.trials if trial.origin]
    assert origins == ["resumes 0", "resumes 1"]
