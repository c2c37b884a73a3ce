"""Fine-tuning: it starts from the outputs that are shared, learns, and resumes bit for bit."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runners.arms.train import ensure_trained
from runners.training.checkpoint import save_final
from runners.units.unit import Unit
from tests.support.small_ablation import context, plan_spec, write_spec
from yolact_bench.build import build_network


def state(path: Path) -> dict[str, torch.Tensor]:
    network: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["network"]
    return network


def from_another(folder: Path) -> Unit:
    """A training from a network of two classes, one of them among the five of `shapes`."""
    one = plan_spec(write_spec(folder), context(folder)).steps[0].unit
    assert isinstance(one, Unit)
    run = replace(one.run, classes=("ring", "cloud"))
    save_final(folder / "final.pt", run=run, facts={}, network=build_network(run))
    init = {"name": "detector", "file": str(folder / "final.pt"), "classes": ["ring", "cloud"]}
    return replace(one, run=one.run.changed({"init": init, "schedule.iterations": 2}))


def test_a_fine_tuning_that_was_stopped_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unit = from_another(tmp_path)
    whole, broken = (context(tmp_path / name).place for name in ("whole", "broken"))
    with caplog.at_level(logging.INFO):
        ensure_trained(unit, whole)
    assert "kept: background, ring; random: disc, square, triangle, star" in caplog.text
    stops = nullcontext(lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr("runners.arms.train.graceful_stop", lambda: stops)
        with pytest.raises(KeyboardInterrupt):
            ensure_trained(unit, broken)
    torch.manual_seed(99)
    ensure_trained(unit, broken)
    first, second = (state(place.weights(unit.run)) for place in (whole, broken))
    assert all(torch.equal(first[key], second[key]) for key in first)
