"""The optimizers that a schedule names."""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from tests.support.loss_cases import as_on_a_device
from yolact_bench.schedule import OPTIMIZERS
from yolact_bench.schedule.curves import Steps
from yolact_bench.schedule.optimizers import OptimizerName


def test_the_option_takes_the_names_of_the_table() -> None:
    assert get_args(OptimizerName) == tuple(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_keeps_as_many_numbers_per_weight_as_it_states(name: OptimizerName) -> None:
    """Of 6 weights that train after one step; counters of steps are no numbers per weight."""
    weight = nn.Parameter(torch.ones(2, 3))
    still = nn.Parameter(torch.ones(5), requires_grad=False)
    optimizer = Steps(optimizer=name, warmup_lr=1e-4).build_optimizer([weight, still])
    (group,) = optimizer.param_groups
    assert group["lr"] == 1e-4
    assert group["weight_decay"] == 5e-4
    weight.sum().backward()
    optimizer.step()
    (state,) = optimizer.state.values()
    moments = [value for value in state.values() if value.shape == weight.shape]
    assert len(moments) == OPTIMIZERS[name].moments


def weight_and_optimizer(name: OptimizerName) -> tuple[nn.Parameter, torch.optim.Optimizer]:
    weight = nn.Parameter(torch.ones(2, 3))
    return weight, Steps(optimizer=name, warmup=4).build_optimizer([weight])


def train(weight: nn.Parameter, optimizer: torch.optim.Optimizer, iterations: range) -> None:
    for iteration in iterations:
        Steps(warmup=4).set_lr(optimizer, iteration)
        optimizer.zero_grad()
        (weight**3).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_on_a_device_the_rate_is_a_tensor_that_stays_where_it_is(
    name: OptimizerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorded step reads it there, after 1e-4 the rate 1e-4 + 3/4 · 9e-4."""
    as_on_a_device(monkeypatch)
    weight, optimizer = weight_and_optimizer(name)
    (group,) = optimizer.param_groups
    rate = group["lr"]
    assert isinstance(rate, Tensor) and group["fused"]
    train(weight, optimizer, range(4))
    assert group["lr"] is rate
    assert float(rate) == pytest.approx(7.75e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_on_a_cpu_sgd_is_the_plain_one_and_the_rate_a_number(name: OptimizerName) -> None:
    """Which rounds as trainings of earlier versions did."""
    _, optimizer = weight_and_optimizer(name)
    (group,) = optimizer.param_groups
    assert isinstance(group["lr"], float)
    assert group["fused"] is (None if name == "sgd" else True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_checkpoint_of_another_device_changes_moments_alone(
    name: OptimizerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three steps as on a device and two more on a CPU, against five on the CPU, and back."""
    plain = weight_and_optimizer(name)
    train(*plain, range(5))
    with monkeypatch.context() as patch:
        as_on_a_device(patch)
        first, third = weight_and_optimizer(name), weight_and_optimizer(name)
    train(*first, range(3))
    second = weight_and_optimizer(name)
    own = dict(second[1].param_groups[0])
    for source, (weight, optimizer) in ((first, second), (second, third)):
        with torch.no_grad():
            weight.copy_(source[0])
        optimizer.load_state_dict(source[1].state_dict())
        train(weight, optimizer, range(3, 5) if source is first else range(0))
    del own["params"], own["lr"]
    assert own.items() <= second[1].param_groups[0].items()
    assert isinstance(second[1].param_groups[0]["lr"], float)
    assert isinstance(third[1].param_groups[0]["lr"], Tensor)
    torch.testing.assert_close(second[0], plain[0], rtol=1e-6, atol=0)
    assert torch.equal(third[0], second[0])


def test_on_a_device_a_gradient_may_come_later_than_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As those of the re-scoring network do where the first batch has no objects."""
    outcomes = []
    for on_device in (False, True):
        if on_device:
            as_on_a_device(monkeypatch)
        early, late = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
        optimizer = Steps(warmup=0).build_optimizer([early, late])
        for uses_both in (False, True, True):
            optimizer.zero_grad()
            (early * late if uses_both else early).sum().backward()
            optimizer.step()
        outcomes.append(torch.stack([early, late]))
    torch.testing.assert_close(outcomes[1], outcomes[0], rtol=1e-6, atol=0)
