"""Training with a compiled network: the same keys, the same losses to rounding, resumable."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runners.arms.finish import ensure_accuracy
from runners.arms.train import ensure_trained
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.support.small_ablation import context, plan_spec, write_spec

SIX_STEPS = {"schedule.iterations": 6, "schedule.steps": [4]}


def unit(folder: Path, *, compiled: bool) -> tuple[Unit, Workplace]:
    """The baseline of the small ablation, six steps long."""
    folder.mkdir()
    at = context(folder / "work")
    one = plan_spec(write_spec(folder), at).steps[0].unit
    place = replace(at.place, compile_network=compiled)
    return replace(one, run=one.run.changed(SIX_STEPS)), place


def logged(one: Unit, place: Workplace) -> dict[str, float]:
    """The losses in the last line of the log."""
    lines = (place.checkpoint_folder(one.run) / "log.jsonl").read_text().splitlines()
    losses: dict[str, float] = json.loads(lines[-1])["losses"]
    return losses


def test_compiling_is_no_part_of_the_digest(tmp_path: Path) -> None:
    plain, _ = unit(tmp_path / "a", compiled=False)
    compiled, _ = unit(tmp_path / "b", compiled=True)
    assert plain.run.train_digest == compiled.run.train_digest


@pytest.mark.parametrize("way", ["compile_network", "cudnn_benchmark"])
def test_a_training_that_was_compiled_in_any_part_says_so(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three steps that way and three not; the digest is that of a training without it."""
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    mixed, other = unit(tmp_path / "a", compiled=False)
    place = replace(other, **{way: True})
    stops = nullcontext(iter([False, False, True]).__next__)
    with monkeypatch.context() as patch:
        patch.setattr("runners.arms.train.graceful_stop", lambda: stops)
        with pytest.raises(KeyboardInterrupt):
            ensure_trained(mixed, place)

    assert getattr(ensure_trained(mixed, other), way)
    assert getattr(ensure_accuracy(mixed, other), way)  # from the facts beside the weights
    plain, never = unit(tmp_path / "b", compiled=False)
    assert not getattr(ensure_trained(plain, never), way)


@pytest.mark.slow
def test_a_training_stopped_while_compiled_goes_on_without_to_the_same_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three steps compiled and three not, against six that are not.

    On random weights batch norm makes much of rounding: in these six steps, weights changed by a
    millionth change the losses by up to a tenth, their mean by a hundredth.
    """
    plain, place = unit(tmp_path / "a", compiled=False)
    ensure_trained(plain, place)

    mixed, other = unit(tmp_path / "b", compiled=True)
    seen: list[str] = []
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda m, **k: seen.append("") or compile_(m, **k))
    stops = nullcontext(iter([False, False, True]).__next__)
    with monkeypatch.context() as patch:
        patch.setattr("runners.arms.train.graceful_stop", lambda: stops)
        with pytest.raises(KeyboardInterrupt):
            ensure_trained(mixed, other)
    stopped = torch.load(other.checkpoint_folder(mixed.run) / "last.pt", weights_only=True)
    assert len(seen) == 1
    assert not any("_orig_mod" in key for key in stopped["network"])
    ensure_trained(mixed, replace(other, compile_network=False))

    first = torch.load(place.weights(plain.run), weights_only=True)["network"]
    second = torch.load(other.weights(mixed.run), weights_only=True)["network"]
    assert first.keys() == second.keys()
    assert logged(mixed, other) == pytest.approx(logged(plain, place), rel=0.05)
