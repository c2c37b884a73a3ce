"""The ablation that confirms a sweep: what its best trials change of the base."""

from pathlib import Path

import pytest
import yaml

from runners.sweep.confirm import write_confirmation
from tests.support.fake_sweeps import sweep_of, trial_of
from tests.support.paths import ROOT
from yolact_bench.errors import SpecError
from yolact_bench.spec.ablation import load
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


def test_a_best_trial_that_is_the_base_leaves_nothing_to_confirm(tmp_path: Path) -> None:
    trial = trial_of(3, changes={"protonet.k": K})
    with pytest.raises(SpecError, match="is its base itself"):
        write_confirmation(SPEC, sweep_of(trial, best=(3,)), tmp_path, seeds=2)
    assert not list(tmp_path.iterdir())
