"""What a coordinator adds to the summary that an earlier one left."""

import time
from pathlib import Path

import pytest

from runners.sweep import fact
from runners.sweep.storage import storage_url
from runners.sweep.study import Study
from runners.sweep.summary_file import SweepSummary
from tests.support.paths import ROOT
from yolact_bench.spec.sweep.sweep import load_sweep


def test_only_coordinators_with_trials_add_their_seconds(tmp_path: Path) -> None:
    """Each takes 100 s; the second finds nothing to do, the third has another trial."""
    spec = load_sweep(ROOT / "sweeps" / "tiny.yaml")
    study = Study(spec, storage_url(None, tmp_path), {})
    seconds = []
    for has_trial in (True, False, True):
        summary = SweepSummary(
            spec=spec,
            study=study,
            folder=tmp_path,
            device="cpu",
            command="sweep",
            _began=time.monotonic() - 100.0,
        )
        if has_trial:
            study.fail(study.ask({fact.REASON: "no luck"}).number)
        seconds.append(summary.write(importance=False).seconds)
    assert seconds == pytest.approx([100.0, 100.0, 200.0], abs=50.0)
