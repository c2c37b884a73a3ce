"""The optimizers that a schedule names."""

from typing import get_args

import pytest
import torch
from torch import nn

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
