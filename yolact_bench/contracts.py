"""What every component of a slot must do: checks that a package can run on its own entry points.

In a test of that package, installed with its entry point in the group `yolact_bench.<slot>`:

    from yolact_bench.contracts import checks_of

    @pytest.mark.parametrize("check", checks_of("nms"), ids=lambda check: check.__name__)
    def test_my_nms_keeps_the_contract(check):
        check("nms", "my_nms")

A check fails with an AssertionError. Slots without checks of their own have the general ones.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from yolact_bench.build import load_detector
from yolact_bench.catalog import Component, components
from yolact_bench.deform import torchvision_deform
from yolact_bench.detect.nms import fixed_form
from yolact_bench.detect.protocols import Nms
from yolact_bench.errors import SpecError
from yolact_bench.model.backbone import Backbone
from yolact_bench.model.backbone.dcn import every_block, nowhere
from yolact_bench.model.inference.fold import fold_batch_norm
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.runtime import Runtime
from yolact_bench.shapes import Kept
from yolact_bench.slots import fact, options_of, pick, resolve
from yolact_bench.torch_internals import operator_graph

Check: TypeAlias = Callable[[str, str], None]  # slot and name of a component

# Four boxes of side 0.2, far apart.
_APART = torch.tensor(
    [[0.0, 0.0, 0.2, 0.2], [0.5, 0.0, 0.7, 0.2], [0.0, 0.5, 0.2, 0.7], [0.5, 0.5, 0.7, 0.7]]
)
_STRIDES = (8, 16, 32)  # of C3, C4 and C5


def checks_of(slot: str) -> tuple[Check, ...]:
    """Return the checks of a slot: the general ones, then its own."""
    return (*_GENERAL, *_OWN.get(slot, ()))


def names_its_source(slot: str, name: str) -> None:
    """The docstring says where the component comes from; ours then say how they differ from it."""
    component = _component(slot, name)
    text = inspect.getdoc(component) or ""
    assert "Source: " in text
    if component.__module__.startswith(f"{__package__}."):
        assert re.search(r"Source: \S.*\sDiffers: .+\.$", text, re.DOTALL), text


def resolves_to_itself(slot: str, name: str) -> None:
    """A choice with every option written out means the same; required options are left out."""
    component = _component(slot, name)
    options = options_of(component).values()
    if any(option.default is inspect.Parameter.empty for option in options):
        return
    resolved = resolve(slot, components(slot), {"name": name})
    assert resolve(slot, components(slot), resolved) == resolved


def nms_has_the_common_options(slot: str, name: str) -> None:
    """`min_score` and `max_detections` mean the same for all."""
    assert {"min_score", "max_detections"} <= set(options_of(_component(slot, name)))
    boxes, scores = _crowded(0)
    everything = _nms(name)(boxes, scores)
    three = _nms(name, max_detections=3)(boxes, scores)
    assert _rows(three) == _rows(everything)[:3]
    sure = _nms(name, min_score=0.5)(boxes, scores)
    assert bool((scores[sure.anchor].amax(1) > 0.5).all())


def nms_keeps_nothing_below_the_threshold(slot: str, name: str) -> None:
    """An empty result has the shapes and types of any other."""
    for anchors in (0, 4):
        kept = _nms(name)(_APART[:anchors], torch.full((anchors, 3), 0.01))
        assert kept.anchor.shape == kept.label.shape == kept.score.shape == (0,)
        assert kept.anchor.dtype == kept.label.dtype == torch.int64


def nms_keeps_boxes_that_do_not_overlap(slot: str, name: str) -> None:
    """With their scores, best first."""
    kept = _nms(name)(_APART, torch.tensor([0.6, 0.9, 0.7, 0.8])[:, None])
    assert _rows(kept) == [(1, 0), (3, 0), (2, 0), (0, 0)]
    assert torch.allclose(kept.score, torch.tensor([0.9, 0.8, 0.7, 0.6]))


def nms_suppresses_the_worse_of_two_equal_boxes(slot: str, name: str) -> None:
    """It is gone, or has less than half of its score."""
    kept = _nms(name)(_APART[[0, 0]], torch.tensor([[0.7], [0.9]]))
    assert _rows(kept)[0] == (1, 0)
    assert all(score < 0.35 for score in kept.score[1:].tolist())


def nms_refers_to_its_input(slot: str, name: str) -> None:
    """Sorted, each row once, scores never raised, and the input is left as it was."""
    for seed in (0, 1):
        boxes, scores = _crowded(seed)
        before = boxes.clone(), scores.clone()
        kept = _nms(name)(boxes, scores)
        assert torch.equal(boxes, before[0])
        assert torch.equal(scores, before[1])
        assert 0 < len(kept.anchor) <= 200
        assert bool(kept.score.diff().le(0).all())
        assert len(set(_rows(kept))) == len(_rows(kept))
        assert bool((kept.score <= scores[kept.anchor, kept.label] + 1e-6).all())


def nms_does_not_depend_on_the_order(slot: str, name: str) -> None:
    """Of the input; and equal scores give the same result every time."""
    for seed in (0, 1):
        boxes, scores = _crowded(seed)
        order = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(7))
        kept, shuffled = _nms(name)(boxes, scores), _nms(name)(boxes[order], scores[order])
        assert order[shuffled.anchor].tolist() == kept.anchor.tolist()
        assert shuffled.label.tolist() == kept.label.tolist()
        equal = torch.full((len(boxes), 2), 0.4)
        assert _rows(_nms(name)(boxes, equal)) == _rows(_nms(name)(boxes, equal))


def nms_has_the_rows_of_its_fixed_form(slot: str, name: str) -> None:
    """Where it has one, which `runtime: cuda_graph` needs: the same options, and rows, of a batch.

    No step of it may ask for a value, for a recorded graph has none.
    """
    nms = _nms(name)
    form = fixed_form(nms)
    if form is None:
        return
    own = options_of(_component(slot, name))
    assert {o: p.default for o, p in options_of(fact(nms, "fixed")).items() if o in own} == {
        o: p.default for o, p in own.items()
    }
    images = [_crowded(seed) for seed in range(3)]
    boxes, scores = (torch.stack(parts) for parts in zip(*images, strict=True))
    together = form(boxes, scores)
    for index, image in enumerate(images):
        some = together.score[index] > 0
        wanted = nms(*image)
        if bool(together.exact[index]):
            assert together.anchor[index][some].tolist() == wanted.anchor.tolist()
            assert together.label[index][some].tolist() == wanted.label.tolist()
            assert torch.equal(together.score[index][some], wanted.score)
    assert bool(together.exact.any()), "it never says that its rows are exact"
    operator_graph(lambda b, s: form(b, s).score, (boxes, scores), tracing_mode="fake")


def backbone_halves_sides_rounded_up(slot: str, name: str) -> None:
    """C3, C4 and C5 have strides of 8, 16 and 32, and the channels that are stated."""
    with torch.device("meta"):
        backbone = _backbone(name)
        for side in (96, 101):
            features = backbone(torch.empty(2, 3, side, side))
            wanted = zip(backbone.channels, _STRIDES, strict=True)
            assert [tuple(f.shape) for f in features] == [
                (2, channels, -(-side // stride), -(-side // stride)) for channels, stride in wanted
            ]


def backbone_states_its_facts(slot: str, name: str) -> None:
    """Normalisation of red, green and blue, ImageNet weights, the ends of residual branches."""
    with torch.device("meta"):
        backbone = _backbone(name)
    assert len(backbone.mean) == len(backbone.std) == 3
    assert all(0 <= m < 256 for m in backbone.mean)
    assert all(s > 0 for s in backbone.std)
    assert (fact(_component(slot, name), "imagenet") or "") == backbone.imagenet
    own = set(backbone.modules())
    assert all(norm in own for norm in backbone.residual_norms())


def backbone_places_deformable_layers_or_refuses(slot: str, name: str) -> None:
    """A refusal says what to write instead."""
    with torch.device("meta"):
        try:
            backbone = components(slot)[name](every_block, torchvision_deform)
        except SpecError as error:
            assert "nowhere" in str(error)
            return
        layers = sum(key.endswith("offset_mask.weight") for key in backbone.state_dict())
        assert backbone.placed, "it ignores where deformable layers are to be; raise a SpecError"
        assert layers == len(backbone.placed)
        backbone(torch.empty(1, 3, 64, 64))


def backbone_is_folded(slot: str, name: str) -> None:
    """All batch norms but the stated go into convolutions; features stay, up to rounding."""
    stated = fact(_component(slot, name), "unfolded_norms") or 0
    backbone = _backbone(name).eval()
    for part in backbone.modules():
        if isinstance(part, torch.nn.BatchNorm2d) and part.running_mean is not None:
            part.running_mean.fill_(0.1)
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = backbone(x)
        left = fold_batch_norm(backbone, x)
        assert left == stated, f"{left} batch norms stay, which costs time; {stated} are stated"
        for found, want in zip(backbone(x), wanted, strict=True):
            assert torch.allclose(found, want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


def runtime_keeps_what_a_network_computes(slot: str, name: str) -> None:
    """Prepared from what it asks for: the network as trained, or its inference copy."""
    runtime: Runtime = pick(slot, components(slot), {"name": name})()
    network = load_detector("yolact_tiny", image_size=72, protonet={"name": "fcn", "k": 4}).network
    assert isinstance(network, Yolact)
    x = torch.randn(1, 3, 72, 72, generator=torch.Generator().manual_seed(0))
    given = InferenceNetwork(network) if runtime.inference_copy else network
    with torch.no_grad(), runtime.context("cpu"):
        found, wanted = runtime.prepare(given)(x), network(x)
    for output in ("boxes", "scores", "coefficients", "prototypes"):
        assert torch.allclose(getattr(found, output), getattr(wanted, output), atol=1e-4)


_GENERAL: tuple[Check, ...] = (names_its_source, resolves_to_itself)
_OWN: Mapping[str, tuple[Check, ...]] = {
    "nms": (
        nms_has_the_common_options,
        nms_keeps_nothing_below_the_threshold,
        nms_keeps_boxes_that_do_not_overlap,
        nms_suppresses_the_worse_of_two_equal_boxes,
        nms_refers_to_its_input,
        nms_does_not_depend_on_the_order,
        nms_has_the_rows_of_its_fixed_form,
    ),
    "backbone": (
        backbone_halves_sides_rounded_up,
        backbone_states_its_facts,
        backbone_places_deformable_layers_or_refuses,
        backbone_is_folded,
    ),
    "runtime": (runtime_keeps_what_a_network_computes,),
}


def _component(slot: str, name: str) -> Component:
    return components(slot)[name]


def _nms(name: str, **options: object) -> Nms:
    nms: Nms = pick("nms", components("nms"), {"name": name, **options})
    return nms


def _backbone(name: str) -> Backbone:
    backbone: Backbone = components("backbone")[name](nowhere, torchvision_deform)
    return backbone


def _crowded(seed: int, anchors: int = 120, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Many overlapping boxes with distinct scores, partly outside the image."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(anchors, 2, generator=generator) * 0.8 - 0.1
    size = torch.rand(anchors, 2, generator=generator) * 0.4 + 0.05
    logits = torch.randn(anchors, classes + 1, generator=generator) * 2
    return torch.cat([corner, corner + size], 1), logits.softmax(1)[:, 1:]


def _rows(kept: Kept) -> list[tuple[int, int]]:
    return list(zip(kept.anchor.tolist(), kept.label.tolist(), strict=True))
