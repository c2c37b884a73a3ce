"""The counters of batch norms, which advance together."""

import pytest
import torch
from torch import nn

from runners.training.losses import BatchCounters
from yolact_bench.deform.layer import torchvision_deform
from yolact_bench.model.backbone import BACKBONES
from yolact_bench.model.backbone.dcn import nowhere
from yolact_bench.model.batch_norm import set_training_mode
from yolact_bench.torch_internals import DispatchMode


class Additions(DispatchMode):
    """Counts additions to whole numbers."""

    number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        first = args[0][0] if args and isinstance(args[0], list) else args[0] if args else None
        whole = isinstance(first, torch.Tensor) and first.dtype == torch.int64
        self.number += whole and "add" in func.name()
        return func(*args, **(kwargs or {}))


def network() -> nn.Module:
    torch.manual_seed(0)
    odd = nn.BatchNorm2d(4, momentum=None)  # reads its counter
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4), odd)


@pytest.mark.parametrize("frozen", [False, True])
def test_statistics_and_counters_are_those_of_plain_forward_passes(frozen: bool) -> None:
    plain, counted = network(), network()
    counters, x = BatchCounters(counted), torch.randn(2, 3, 5, 5)
    for part in (plain, counted):
        set_training_mode(part, frozen_batch_norm=frozen)
    for _ in range(3):
        plain(x)
        with counters.advance():
            counted(x)
    assert plain.state_dict().keys() == counted.state_dict().keys()
    assert all(torch.equal(v, plain.state_dict()[name]) for name, v in counted.state_dict().items())
    assert int(counted.state_dict()["1.num_batches_tracked"]) == (0 if frozen else 3)


def test_they_advance_by_one_operation_and_not_after_an_error() -> None:
    """One for the two with a momentum, and one for that without."""
    part = network().train()
    counters = BatchCounters(part)
    with Additions() as additions, counters.advance():
        part(torch.randn(2, 3, 5, 5))
    assert additions.number == 2
    with pytest.raises(RuntimeError), counters.advance():
        part(torch.randn(2, 4, 5, 5))
    assert int(part.state_dict()["1.num_batches_tracked"]) == 1


@pytest.mark.parametrize("name", BACKBONES)
def test_every_batch_norm_of_a_backbone_runs_once(name: str) -> None:
    """Otherwise one operation would not count as they do."""
    calls: list[nn.Module] = []
    with torch.device("meta"):
        backbone = BACKBONES[name](nowhere, torchvision_deform).train()
        norms = [part for part in backbone.modules() if isinstance(part, nn.BatchNorm2d)]
        for norm in norms:
            norm.register_forward_hook(lambda part, *_: calls.append(part))
        backbone(torch.empty(2, 3, 64, 64))
    assert len(calls) == len(norms)
    assert set(calls) == set(norms)
