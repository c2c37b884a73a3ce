"""The ablation that confirms a sweep: what its best trials change of the base."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from runners.sweep.confirm import confirm, write_confirmation
from runners.sweep.flow import SweepContext
from runners.sweep.storage import storage_url
from runners.sweep.study import Study
from runners.sweep.summary_file import SweepSummary
from runners.timing.records import TimingLimits
from runners.units.workplace import Workplace
from tests.support import fake_work
from tests.support.fake_sweeps import sweep_of, trial_of
from tests.support.no_tracker import NoTracker
from tests.support.paths import ROOT
from yolact_bench.errors import SpecError
from yolact_bench.spec.ablation import Ablation, load
from yolact_bench.spec.sweep.sweep import load_sweep

SPEC = load_sweep(ROOT / "sweeps" / "tiny.yaml")
K = SPEC.run.protonet["k"]


def test_a_factor_of_the_best_trial_that_equals_the_base_is_no_factor(tmp_path: Path) -> None:
    """`changes` may name only what an arm changes."""
    trial = trial_of(3, changes={"schedule.lr": 0.0123, "protonet.k": K})
    file = write_confirmation(SPEC, sweep_of(trial, best=(3,)), tmp_path, seeds=2)
    written = yaml.safe_load(file.read_text())
    assert written["changes"] == ["schedule.lr"]
    assert written["arms"] == {"base": {}, "trial_3": {"schedule.lr": 0.0123}}
    assert [arm.name for arm in load(file).arms] == ["base", "trial_3"]


def test_components_of_the_best_trial_have_the_options_that_it_had(tmp_path: Path) -> None:
    """All are in its record, so that the arm keeps none of the base; `fast` is the base's own."""
    changes = {"nms": {"name": "matrix", "top_k": 500}, "schedule.lr": 0.0123}
    same = trial_of(4, changes={"nms": {"name": "fast"}, "schedule.lr": 0.02})
    sweep = sweep_of(trial_of(3, changes=changes), same, best=(3, 4))
    file = write_confirmation(SPEC, sweep, tmp_path, seeds=2)
    arms = yaml.safe_load(file.read_text())["arms"]
    assert arms["trial_3"]["nms"] == {"name": "matrix", "top_k": 500, "defaults": "component"}
    assert arms["trial_4"] == {"schedule.lr": 0.02}
    runs = {arm.name: arm.run for arm in load(file).arms}
    assert runs["trial_3"].nms == {"name": "matrix", "top_k": 500}


def test_what_confirms_a_proxy_is_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its base has the shortened schedule already, which no budget of its own shortens again."""
    spec = load_sweep(ROOT / "sweeps" / "tiny.yaml", budget="short")
    study = Study(spec, storage_url(None, tmp_path), {})
    folder = tmp_path / "sweeps" / spec.name
    summary = SweepSummary(spec=spec, study=study, folder=folder, device="cpu", command="sweep")
    trial = trial_of(3, changes={"schedule.lr": 0.0123})
    sweep = replace(summary.write(importance=False), trials=(trial,), best=(3,))
    assert sweep.budget == "short"
    plans: list[Ablation] = []
    monkeypatch.setattr(
        "runners.sweep.confirm.make_plan", lambda ablation, **_: plans.append(ablation)
    )
    monkeypatch.setattr("runners.sweep.confirm.run_ablation", lambda *_, **__: fake_work.manifest())
    at = SweepContext(
        place=Workplace(work_dir=tmp_path, device="cpu", workers=0),
        tracker=NoTracker(),
        timing=TimingLimits(),
        data_root=None,
        storage=None,
        make_executor=lambda: None,
    )

    confirm(spec, sweep, at, seeds=2, command="sweep")

    (ablation,) = plans
    assert ablation.budget == "short"
    assert ablation.arms[0].run.schedule == spec.run.schedule


def test_a_best_trial_that_is_the_base_leaves_nothing_to_confirm(tmp_path: Path) -> None:
    trial = trial_of(3, changes={"protonet.k": K})
    with pytest.raises(SpecError, match="is its base itself; run more trials"):
        write_confirmation(SPEC, sweep_of(trial, best=(3,)), tmp_path, seeds=2)
    assert not list(tmp_path.iterdir())
