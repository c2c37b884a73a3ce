"""Training: resumption, schedules, failure, and what a checkpoint holds."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD

from runners.arms.train import ensure_trained
from runners.system.environment import environment
from runners.training.checkpoint import load_facts, save_training
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.build import build_network, load_detector
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.schedule.curves import Steps

SIX_STEPS = {"schedule.iterations": 6, "schedule.steps": [4], "schedule.clip_norm": 5.0}


def unit(folder: Path) -> tuple[Unit, Workplace]:
    """The baseline of the small ablation."""
    at = context(folder / "work")
    return plan_spec(write_spec(folder), at).steps[0].unit, at.place


def weights(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(path, weights_only=True)
    network: dict[str, torch.Tensor] = state["network"]
    return network


@pytest.mark.parametrize(
    "stop_after",
    [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)],
)
def test_a_training_that_was_stopped_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, place = unit(tmp_path / "a")
    run = whole.run.changed(SIX_STEPS)
    ensure_trained(replace(whole, run=run), place)

    broken, other = unit(tmp_path / "b")
    broken = replace(broken, run=run)
    stops = nullcontext(iter([False] * (stop_after - 1) + [True]).__next__)
    with monkeypatch.context() as patch:
        patch.setattr("runners.arms.train.graceful_stop", lambda: stops)
        with pytest.raises(KeyboardInterrupt):
            ensure_trained(broken, other)
    assert (other.checkpoint_folder(run) / "last.pt").is_file()
    torch.manual_seed(99)  # whatever happened in between
    ensure_trained(broken, other)

    first, second = weights(place.weights(run)), weights(other.weights(run))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not (other.checkpoint_folder(run) / "last.pt").exists()


def test_a_finished_training_is_found_again_with_its_facts(tmp_path: Path) -> None:
    one, place = unit(tmp_path)
    first = ensure_trained(one, place)
    assert ensure_trained(one, place) == first
    assert load_facts(first.weights)["train_digest"] == one.run.train_digest


def test_the_log_has_losses_and_the_learning_rate(tmp_path: Path) -> None:
    one, place = unit(tmp_path)
    ensure_trained(one, place)
    log = place.checkpoint_folder(one.run) / "log.jsonl"
    last = json.loads(log.read_text().splitlines()[-1])
    assert last["iteration"] == 3
    assert set(last["losses"]) == {"box", "class", "mask", "semantic"}
    assert last["total"] == pytest.approx(sum(last["losses"].values()))
    assert (last["device"], last["devices"]) == (environment("cpu").device, 1)
    assert last["lr"] == pytest.approx(1e-4)  # 1e-3 until iteration 2, then a tenth


def test_the_checkpoint_loads_with_the_run_beside_it(tmp_path: Path) -> None:
    one, place = unit(tmp_path)
    trained = ensure_trained(one, place)
    folder = place.checkpoint_folder(one.run)
    detector = load_detector(str(folder / "run.yaml"), weights=trained.weights)
    wanted = weights(trained.weights)["head.scores.bias"]
    assert torch.equal(detector.network.head.scores.bias, wanted)
    with pytest.raises(SpecError, match="does not fit"):
        load_detector("yolact_tiny", weights=trained.weights)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    one, place = unit(tmp_path)
    other = replace(one, run=one.run.changed({"seed": 5}))
    folder = place.checkpoint_folder(one.run)
    folder.mkdir(parents=True)
    network = build_network(other.run, initial=False)
    parts = {"network": network, "optimizer": SGD(network.parameters()), "scaler": nn.Identity()}
    save_training(folder / "last.pt", run=other.run, iteration=1, seconds=1.0, parts=parts)
    with pytest.raises(SpecError, match="not a checkpoint of the training"):
        ensure_trained(one, place)


def test_a_loss_that_is_not_finite_stops_with_the_iteration_and_a_remedy(tmp_path: Path) -> None:
    one, place = unit(tmp_path)
    wild = replace(one, run=one.run.changed({"schedule.lr": 1e6, "schedule.warmup": 0}))
    with pytest.raises(ArmError, match=r"iteration 1 .*schedule\.clip_norm") as caught:
        ensure_trained(wild, place)
    assert caught.value.kind == "non_finite_loss"
    assert not place.weights(wild.run).exists()


def test_frozen_batch_norm_on_random_weights_is_refused(tmp_path: Path) -> None:
    """Nothing would normalise the activations; with ImageNet weights it is the paper's way."""
    text = SPEC.replace("batch_norm: train", "batch_norm: auto")
    with pytest.raises(SpecError, match=r"batch_norm: \{name: train\}"):
        plan_spec(write_spec(tmp_path, text), context(tmp_path))


def test_the_published_schedule_has_its_learning_rates() -> None:
    """1e-4 at 0, halfway to 1e-3 at 250, 1e-3 from 500, a tenth at each of four steps."""
    lr_at = Steps().lr_at
    assert lr_at(0) == pytest.approx(1e-4)
    assert lr_at(250) == pytest.approx(5.5e-4)
    assert lr_at(500) == lr_at(279_999) == pytest.approx(1e-3)
    assert lr_at(280_000) == pytest.approx(1e-4)
    assert lr_at(750_000) == pytest.approx(1e-7)
