"""A last.pt that is not what was written is refused with its fault; nothing trains from it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from runners.training.checkpoint import load_training, save_training
from runners.training.losses import check_weights
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.schedule.curves import Steps
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run

RUN: Run = preset("yolact_tiny")


def parts() -> dict[str, Any]:
    """A network that has taken a step."""
    network = nn.Linear(2, 3)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return {"network": network, "optimizer": optimizer, "scaler": scaler}


@pytest.fixture
def last(tmp_path: Path) -> Path:
    window = [{"box": torch.tensor(1.0)}]
    file = tmp_path / "last.pt"
    save_training(file, run=RUN, iteration=3, seconds=2.0, parts=parts(), window=window)
    return file


def load(file: Path) -> tuple[object, ...]:
    return load_training(file, train_digest=RUN.train_digest, parts=parts())


def test_what_was_written_is_read(last: Path) -> None:
    assert load(last)[:2] == (3, 2.0)


def put(*keys: str | int, value: object) -> Callable[[Any], None]:
    def change(state: Any) -> None:  # noqa: ANN401 - mappings and lists
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value

    return change


NAN = torch.full((3, 2), math.nan)
MOMENT = ("optimizer", "state", 0, "exp_avg")
DAMAGE: dict[str, Callable[[Any], object]] = {
    "it has no iteration": lambda state: state.pop("iteration"),
    "its iteration is not what was written there": put("iteration", value=True),
    "its seconds is not what": put("seconds", value=math.nan),
    "weight has values that are not finite": put("network", "weight", value=NAN),
    "its network is not that of the run": put("network", "weight", value=torch.zeros(3, 4)),
    "its network is not that of": put("network", "bias", value=torch.zeros(3, dtype=torch.int64)),
    "its optimizer does not fit": put("optimizer", value={}),
    "its optimizer has a exp_avg that is of no use": put(*MOMENT, value=torch.zeros(5)),
    "its optimizer has a exp_avg that is of": put(*MOMENT, value="text"),
    "its random does not fit": put("random", value={"torch": torch.zeros(3)}),
    "its window is not what": put("window", value=[{"box": torch.tensor(math.inf)}]),
    "its schema is 7": put("schema", value=7),
    "it is not a checkpoint of the training": put("train_digest", value="0123"),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_damage_is_named_with_the_remedy(last: Path, fault: str) -> None:
    state = torch.load(last, weights_only=True)
    DAMAGE[fault](state)
    torch.save(state, last)
    with pytest.raises(SpecError, match=rf"last\.pt is damaged: {fault}.*; remove it to train"):
        load(last)


def test_weights_that_a_step_has_ruined_are_a_failure_of_the_arm_and_never_saved() -> None:
    network = nn.Linear(2, 3)
    nn.init.constant_(network.bias, math.inf)
    with pytest.raises(ArmError, match=r"after iteration 4: bias has values .*schedule\.clip_norm"):
        check_weights(network, 4, Steps())
