"""What every assembly and every re-scorer must do."""

import torch
from torch import Tensor

from yolact_bench.catalog import components
from yolact_bench.errors import SpecError
from yolact_bench.geometry.protocols import Assembly
from yolact_bench.slots import fact, pick

_WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def assembly_has_a_soft_mask_for_each_detection(slot: str, name: str) -> None:
    """At prototype size, from 0 to 1, and a threshold between them."""
    assemble = _assembly(slot, name)
    assert 0 <= assemble.mask_threshold <= 1
    for count in (0, 1, 4):
        masks = assemble(torch.rand(6, 7, 3), _normal(count, 3), _WHOLE.expand(count, 4))
        assert masks.shape == (count, 6, 7)
        assert bool(((masks >= 0) & (masks <= 1)).all())


def assembly_makes_each_mask_from_its_own_coefficients(slot: str, name: str) -> None:
    """To the last bit on a CPU where the fact `row_by_row` says so."""
    assemble = _assembly(slot, name)
    prototypes, coefficients = _normal(6, 7, 3), _normal(2, 3)
    both = assemble(prototypes, coefficients, _WHOLE.expand(2, 4))
    second = assemble(prototypes, coefficients[1:], _WHOLE)
    assert torch.allclose(both[1], second[0], atol=1e-6)
    if fact(components(slot)[name], "row_by_row"):
        assert torch.equal(both[1], second[0])


def assembly_has_gradients(slot: str, name: str) -> None:
    """Of prototypes and of coefficients."""
    leaves = _normal(6, 7, 3).requires_grad_(), _normal(2, 3).requires_grad_()
    masks = _assembly(slot, name)(*leaves, _WHOLE.expand(2, 4))
    assert all(bool(one.abs().sum() > 0) for one in torch.autograd.grad(masks.sum(), leaves))


def rescorer_has_a_score_for_each_detection(slot: str, name: str) -> None:
    """The class scores are left as they are, and returned where the fact says so."""
    rescore = pick(slot, components(slot), {"name": name})
    for count in (0, 3):
        labels, scores = torch.arange(count), torch.full((count,), 0.5)
        rescored = rescore(torch.rand(count, 6, 6), labels, scores, _tenths)
        assert rescored.shape == (count,) and rescored.dtype == scores.dtype
        assert scores.tolist() == [0.5] * count
        if fact(components(slot)[name], "keeps_scores"):
            assert torch.equal(rescored, scores)


def rescorer_states_whether_it_needs_a_network(slot: str, name: str) -> None:
    """Without one it serves, or says what to write."""
    rescore = pick(slot, components(slot), {"name": name})
    try:
        rescore(torch.rand(1, 6, 6), torch.tensor([0]), torch.tensor([0.9]), None)
    except SpecError as error:
        assert fact(components(slot)[name], "needs_net"), "state `needs_net` by @with_facts"
        assert "write a rescore_net" in str(error)
    else:
        assert not fact(components(slot)[name], "needs_net")


def _assembly(slot: str, name: str) -> Assembly:
    assembly: Assembly = pick(slot, components(slot), {"name": name})()
    return assembly


def _normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def _tenths(masks: Tensor) -> Tensor:
    """Return c / 10 as the predicted IoU for class c, whatever the mask [N, 1, h, w]."""
    assert masks.ndim == 4 and masks.shape[1] == 1
    return (torch.arange(5.0) / 10).expand(len(masks), 5)
