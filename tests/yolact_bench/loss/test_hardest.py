"""The kernels of the class loss against the operators they stand for, ties and NaN included."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support.loss_cases import NoReading, NoWaiting
from tests.support.triton_kernels import (
    DEVICES,
    INTERPRETED,
    assert_interpreted_tests_pass,
    device_or_skip,
    stack_bytes,
)
from yolact_bench.loss import classify, hardest
from yolact_bench.loss.classify import mined_negatives, ohem_cross_entropy
from yolact_bench.loss.hardest import hardest_cross_entropy, hardest_fault, index_bits

ON_EACH = pytest.mark.parametrize("device_name", DEVICES)
RATIO = 3
# Images, anchors, columns; different values among rows, 0 for as many as there are; precision.
SCENES = [
    ((1, 1, 2), 0, torch.float32),
    ((2, 129, 6), 1, torch.float32),
    ((2, 129, 6), 3, torch.float16),
    ((3, 1000, 81), 0, torch.float32),
    ((3, 1000, 81), 0, torch.bfloat16),
    ((3, 1000, 81), 3, torch.bfloat16),
]


def sort_hardest(scores: Tensor, labels: Tensor, per_positive: int) -> tuple[Tensor, Tensor]:
    """Summed cost and which anchors are chosen, by a sort that keeps the order of equals.

    The way of a GPU, where `topk` of all values sorts stably and NaN come first; a CPU's `topk`
    leaves the order of equals open.
    """
    scores = scores.float()
    hardness = scores.logsumexp(-1) - scores[..., 0]
    hardness = hardness.masked_fill(labels != 0, -torch.inf)
    rank = hardness.sort(dim=1, descending=True, stable=True).indices.argsort(dim=1)
    wanted = (labels > 0).sum(1, keepdim=True) * per_positive
    chosen = (labels > 0) | ((labels == 0) & (rank < wanted))
    return F.cross_entropy(scores[chosen], labels[chosen], reduction="sum"), chosen


def scene(
    images: int, anchors: int, columns: int, seed: int, *, levels: int = 0, positives: float = 0.02
) -> tuple[Tensor, Tensor]:
    """Random logits and labels, a tenth neutral; with levels, rows of few values, which tie."""
    random = torch.Generator().manual_seed(seed)
    scores = torch.randn(images, anchors, columns, generator=random) * 3
    if levels:
        rows = (torch.rand(images, anchors, 1, generator=random) * levels).round()
        scores = rows * torch.arange(columns)
    kind = torch.rand(images, anchors, generator=random)
    labels = torch.randint(1, columns, (images, anchors), generator=random)
    labels[kind > positives] = 0
    labels[kind > 0.9] = -1
    return scores, labels


def assert_same(scores: Tensor, labels: Tensor, device: str, per_positive: int = RATIO) -> None:
    """Loss, gradient, and which anchors are chosen: those whose gradient is not 0."""
    ours, theirs = (scores.to(device).detach().requires_grad_() for _ in range(2))
    where = labels.to(device)
    wanted, chosen = sort_hardest(theirs, where, per_positive)
    found = hardest_cross_entropy(ours, where, per_positive)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5, equal_nan=True)
    (0.7 * wanted).backward()
    (0.7 * found).backward()
    assert ours.grad is not None and theirs.grad is not None
    assert ours.grad.dtype == scores.dtype
    assert not ours.grad[~chosen].any()
    torch.testing.assert_close(ours.grad, theirs.grad, equal_nan=True)


@ON_EACH
@pytest.mark.parametrize(("sizes", "levels", "dtype"), SCENES, ids=str)
def test_interpreted_or_run_loss_gradient_and_choice_are_those_of_a_stable_sort(
    sizes: tuple[int, int, int], levels: int, dtype: torch.dtype, device_name: str
) -> None:
    device = device_or_skip(device_name)
    scores, labels = scene(*sizes, seed=levels, levels=levels)
    assert_same(scores.to(dtype), labels, device)


@ON_EACH
@pytest.mark.parametrize("positives", [0.0, 0.5, 1.0], ids=["none", "too many", "no background"])
@pytest.mark.parametrize("per_positive", [0, 1, 10**9])
def test_interpreted_or_run_whatever_the_number_wanted(
    per_positive: int, positives: float, device_name: str
) -> None:
    device = device_or_skip(device_name)
    scores, labels = scene(3, 90, 5, seed=1, positives=positives)
    labels[0] = labels[0].clamp(max=0)  # an image without positives beside others
    assert_same(scores, labels, device, per_positive)


@ON_EACH
def test_interpreted_or_run_neutral_anchors_alone_cost_nothing(device_name: str) -> None:
    device = device_or_skip(device_name)
    scores, labels = scene(2, 40, 5, seed=0)
    assert_same(scores, torch.full_like(labels, -1), device)


@ON_EACH
@pytest.mark.parametrize(
    ("value", "column"),
    [(torch.nan, 2), (torch.nan, 0), (torch.inf, 2), (torch.inf, 0), (-torch.inf, 0)],
)
@pytest.mark.parametrize("label", [0, 1, -1], ids=["background", "positive", "neutral"])
def test_interpreted_or_run_logits_that_are_no_numbers_make_the_same_of_the_loss(
    label: int, value: float, column: int, device_name: str
) -> None:
    """A background anchor whose hardness is NaN or infinite is the hardest, of equals the first."""
    device = device_or_skip(device_name)
    scores, labels = scene(1, 60, 4, seed=2)
    labels[0, :5], labels[0, 30:40] = torch.tensor([1, 0, 0, 0, 0]), label
    scores[0, 30:40, column] = value
    assert_same(scores, labels, device, per_positive=1)


@ON_EACH
def test_interpreted_or_run_a_label_without_a_logit_is_no_number(device_name: str) -> None:
    device = device_or_skip(device_name)
    scores, labels = scene(1, 20, 4, seed=0)
    labels[0, 3] = 4
    assert hardest_cross_entropy(scores.to(device), labels.to(device), RATIO).isnan()


@ON_EACH
def test_interpreted_or_run_logits_may_lie_anywhere_in_memory(device_name: str) -> None:
    device = device_or_skip(device_name)
    scores, labels = scene(2, 60, 9, seed=3)
    assert_same(scores[:, ::2, 1:7], labels[:, ::2].clamp(max=5), device)


@ON_EACH
def test_interpreted_or_run_the_component_takes_the_kernels(
    device_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weighted and divided as elsewhere."""
    device = device_or_skip(device_name)
    scores, labels = scene(2, 200, 9, seed=4)
    wanted = ohem_cross_entropy(scores, labels, torch.tensor(4.0), weight=3.0)
    monkeypatch.setattr(classify, "reading_is_free", lambda tensor: False)
    monkeypatch.setattr(classify, "mined_negatives", None)
    found = ohem_cross_entropy(
        scores.to(device), labels.to(device), torch.tensor(4.0, device=device), weight=3.0
    )
    torch.testing.assert_close(found.cpu(), wanted)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_topk_chooses_as_a_stable_sort_does() -> None:
    scores, labels = (each.cuda() for each in scene(3, 19_248, 21, seed=0, levels=3))
    chosen = (labels > 0) | mined_negatives(scores, labels, RATIO)
    assert torch.equal(chosen, sort_hardest(scores, labels, RATIO)[1])


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is what that test starts")
def test_the_kernels_pass_where_a_cpu_interprets_them() -> None:
    assert_interpreted_tests_pass(__file__, least=len(SCENES) + 9 + 15 + 4)


def compiled_types(dtype: str) -> dict[str, str]:
    return {
        "scores_ptr": dtype,
        "out_ptr": dtype,
        "labels_ptr": "*i64",
        "cut_ptr": "*i64",
        "key_ptr": "*i32",
    }


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
@pytest.mark.parametrize("dtype", ["*bf16", "*fp32"])
@pytest.mark.parametrize("columns", [81, 1024])
def test_compiled_for_a_gpu_that_is_not_here_kernels_of_rows_spill_nothing(
    columns: int, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton")
    from yolact_bench.loss.hardest_kernels import weigh_anchors, write_gradient

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    numbers: dict[str, object] = {"columns": columns, **hardest._blocks(columns)}
    assert stack_bytes(weigh_anchors, compiled_types(dtype), numbers) == 0
    numbers["index_bits"] = 16
    assert stack_bytes(write_gradient, compiled_types(dtype), numbers) == 0


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
@pytest.mark.parametrize("anchors", [19_248, 57_744])
def test_compiled_for_a_gpu_that_is_not_here_the_choice_spills_nothing(
    anchors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton")
    from yolact_bench.loss.hardest_kernels import choose_hardest

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    numbers = {
        "anchors": anchors,
        "index_bits": index_bits(anchors),
        "block": hardest._IMAGE_BLOCK,
    }
    warps = hardest._IMAGE_WARPS
    assert stack_bytes(choose_hardest, compiled_types("*bf16"), numbers, num_warps=warps) == 0


@pytest.mark.parametrize(("anchors", "bits"), [(1, 0), (2, 1), (32768, 15), (32769, 16)])
def test_an_anchors_number_has_as_many_bits_as_the_last_ones(anchors: int, bits: int) -> None:
    assert index_bits(anchors) == bits


def test_the_host_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward and backward, with launches that only note their names."""
    pytest.importorskip("triton")
    from yolact_bench.loss import hardest_kernels

    names = ("weigh_anchors", "choose_hardest", "write_gradient")
    launched: list[str] = []

    def noted(name: str) -> dict[object, Callable[..., None]]:
        call = SimpleNamespace()
        call.grid = lambda *args, **options: launched.append(name)
        return dict.fromkeys(((2,), (4, 2)), call.grid)

    for name in names:
        monkeypatch.setattr(hardest_kernels, name, noted(name))
    monkeypatch.setattr(hardest, "_TILE", 16 * 16)
    monkeypatch.setattr(classify, "reading_is_free", lambda tensor: False)
    monkeypatch.setattr(classify, "hardest_fault", lambda scores: "")
    scores, labels = scene(2, 60, 9, seed=0)
    scores = scores.bfloat16().requires_grad_()
    with NoWaiting(), NoReading():
        ohem_cross_entropy(scores, labels, torch.tensor(2.0)).backward()
    assert launched == list(names)
    assert scores.grad is not None
    assert scores.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("dtype", "columns", "device", "words"),
    [
        (torch.float64, 5, "meta", "its kernels take no float64"),
        (torch.bfloat16, 1025, "meta", "its kernels take 1023 classes and here are 1024"),
        pytest.param(
            *(torch.bfloat16, 5, "cpu", "its kernels need a CUDA device, not cpu"),
            marks=pytest.mark.skipif(INTERPRETED, reason="interpreted, they run on a CPU"),
        ),
    ],
)
def test_what_the_kernels_cannot_take_is_said(
    dtype: torch.dtype, columns: int, device: str, words: str
) -> None:
    pytest.importorskip("triton")
    assert hardest_fault(torch.empty(1, 2, columns, dtype=dtype, device=device)) == words


def test_without_the_kernels_it_sorts_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hardest.note_sorting.cache_clear()
    scores, labels = scene(2, 60, 9, seed=0)
    wanted = ohem_cross_entropy(scores, labels, torch.tensor(2.0))
    monkeypatch.setattr(classify, "reading_is_free", lambda tensor: False)
    monkeypatch.setattr(classify, "hardest_fault", lambda scores: "there is no Triton")
    with caplog.at_level(logging.WARNING):
        found = [ohem_cross_entropy(scores, labels, torch.tensor(2.0)) for _ in range(2)]
    torch.testing.assert_close(found, [wanted, wanted])
    assert [record.getMessage() for record in caplog.records] == [
        "The class loss sorts all anchors of every image, more slowly: there is no Triton"
    ]
