"""The gathering implementation: precision of places, networks, compiling, released weights."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from tests.support import golden_reference
from tests.support.deform_cases import CASES, Case, largest_faults, without_shape_checks
from tests.support.golden_reference import (
    detection_faults,
    detector,
    gradient_faults,
    images,
    loss_faults,
    recorded_training,
    training_batch,
    training_forward,
)
from yolact_bench.build import build_losses, load_detector
from yolact_bench.deform.gather import gather_deform
from yolact_bench.deform.layer import DeformableConv2d, DeformImplementation, torchvision_deform
from yolact_bench.detector import Detector
from yolact_bench.weights.released import our_key

PLUS = "yolact_plus_resnet50"


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_small_differences(stride: int) -> None:
    """In float64, with places that no small step moves over a whole pixel."""
    case = Case(batch=2, channels=2, out_channels=2, height=4, width=3, stride=stride)
    x, offset, modulation, weight, bias = case.tensors(torch.float64)
    offset = offset.floor() + 0.2 + 0.6 * torch.rand_like(offset)
    leaves = [tensor.requires_grad_() for tensor in (x, offset, modulation, weight, bias)]
    assert gradcheck(lambda *tensors: gather_deform(*tensors, stride), leaves)


def test_only_what_asks_for_a_gradient_has_one() -> None:
    """Frozen first blocks: x and weight need none, the offsets do."""
    x, offset, modulation, weight, bias = CASES["odd sizes"].tensors()
    wanted = offset.clone().requires_grad_()
    torchvision_deform(x, wanted, modulation, weight, bias, 1).sum().backward()
    found = offset.clone().requires_grad_()
    gather_deform(x, found, modulation, weight, bias, 1).sum().backward()
    assert wanted.grad is not None
    assert found.grad is not None
    assert torch.allclose(found.grad, wanted.grad, atol=1e-4)
    assert x.grad is None
    assert weight.grad is None


@pytest.mark.parametrize("values", [torch.bfloat16, torch.float16])
def test_values_keep_their_precision_and_places_stay_exact(values: torch.dtype) -> None:
    """At x = 60 a bfloat16 has steps of ¼: such places would be wrong by up to ⅛ px.

    A ramp of slope 1 in x shows it: sampled at 60 + 0.1 it reads 60.1, which bfloat16 rounds to
    60.0; at a place rounded to ¼ px, 60.0. So the ramp gets slope 1 only around column 60, from 0.
    """
    ramp = (torch.arange(64.0) - 60).clamp(-1, 1).to(values)
    x = ramp.expand(1, 1, 3, 64)
    offset, modulation = torch.zeros(1, 18, 3, 64), torch.zeros(1, 9, 3, 64)
    offset[:, 2 * 4 + 1] = 0.1  # dx of the centre tap
    modulation[:, 4] = 1.0
    weight = torch.ones(1, 1, 3, 3, dtype=values)
    found = gather_deform(x, offset, modulation, weight, weight.new_zeros(1), 1)
    assert found.dtype == values
    assert found[0, 0, 1, 60].float().item() == pytest.approx(0.1, rel=2**-7)


def test_autocast_keeps_bfloat16_where_torchvision_returns_to_float32() -> None:
    x, *others = Case(channels=16, out_channels=16).tensors()
    with torch.autocast("cpu", torch.bfloat16):
        plain = torchvision_deform(x, *others, 1)
        ours = gather_deform(x, *others, 1)
    assert (plain.dtype, ours.dtype) == (torch.float32, torch.bfloat16)
    assert max(largest_faults([ours], [plain])) < 1e-2  # 8 bits: 2^-9 per value, weight, result


def test_torchvision_takes_halves_on_a_cpu_and_computes_in_float32() -> None:
    """Its operator has no kernel for them; an eager arm in bf16 gives it some."""
    x, *others = (tensor.bfloat16() for tensor in Case(channels=16, out_channels=16).tensors())
    with torch.autocast("cpu", torch.bfloat16):
        found = torchvision_deform(x, *others, 1)
    wanted = torchvision_deform(x.float(), *(tensor.float() for tensor in others), 1)
    assert torch.equal(found, wanted.bfloat16())


def test_gradients_under_autocast_have_the_types_of_the_leaves() -> None:
    leaves = [tensor.requires_grad_() for tensor in CASES["stride 2"].tensors()]
    wanted = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    with torch.autocast("cpu", torch.bfloat16):
        gather_deform(*leaves, 2).float().square().mean().backward()
    torchvision_deform(*wanted, 2).square().mean().backward()
    found = [leaf.grad for leaf in leaves]
    assert all(grad is not None and grad.dtype == torch.float32 for grad in found)
    pairs = zip(found, wanted, strict=True)
    assert all(max(largest_faults([a], [b.grad])) < 3e-2 for a, b in pairs)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_an_offset_that_is_no_place_reads_nothing_and_a_nan_stays_one(broken: float) -> None:
    """A diverging training ends as one, not in another image's pixels or outside the memory."""
    x, offset, modulation, weight, bias = CASES["odd sizes"].tensors()
    offset[0, 0, 0, 0] = broken
    found = gather_deform(x, offset, modulation, weight, bias, 1)
    offset[0, 0, 0, 0] = 1e4  # far outside
    wanted = gather_deform(x, offset, modulation, weight, bias, 1)
    if math.isnan(broken):
        assert bool(found[0, :, 0, 0].isnan().all())
        found[0, :, 0, 0] = wanted[0, :, 0, 0]
    assert torch.equal(found, wanted)


def test_a_network_gives_the_same_with_either_implementation() -> None:
    """And has the same weights: the option belongs to the measurement, not to the training."""
    torch.manual_seed(0)
    plain = load_detector("yolact_tiny", dcn={"name": "every_block"})
    ours = load_detector("yolact_tiny", dcn={"name": "every_block"}, deform={"name": "gather"})
    layers = [m for m in plain.network.modules() if isinstance(m, DeformableConv2d)]
    for layer in layers:
        nn.init.normal_(layer.offset_mask.weight, std=0.1)
    ours.network.load_state_dict(plain.network.state_dict())
    assert plain.run is not None
    assert ours.run is not None
    assert plain.run.train_digest == ours.run.train_digest
    side = plain.run.image_size
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted, found = plain.network(x), ours.network(x)
    outputs = ("boxes", "class_logits", "coefficients", "prototypes")
    pairs = [(getattr(found, name), getattr(wanted, name)) for name in outputs]
    assert max(largest_faults([a for a, _ in pairs], [b for _, b in pairs])) < 5e-5


def test_detections_of_released_weights_are_those_of_the_reference() -> None:
    made = detector(PLUS)
    try:
        found = _gathering(made)(images())
    finally:
        _gathering(made, torchvision_deform)
    for image, detections in enumerate(found):
        assert detection_faults(PLUS, image, "fast", detections) == [], f"image {image}"


@pytest.mark.slow
def test_gradients_of_a_training_step_are_those_of_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As test_golden_training, to the same 5e-3, with every deformable layer gathering."""
    plain = golden_reference.training_detector
    monkeypatch.setattr(
        golden_reference, "training_detector", lambda config: _gathering(plain(config))
    )
    made, raw = training_forward(PLUS, frozen=True)
    want = recorded_training(PLUS)["frozen_bn"]
    terms = build_losses(made)(raw, training_batch()[1])
    assert loss_faults(want["losses"], terms) == []
    sum(terms.values()).backward()
    ours = {name: p.grad for name, p in made.network.named_parameters()}
    norms = {str(our_key(key)): norm for key, norm in want["grad_l2"].items()}
    assert gradient_faults(norms, ours, 5e-3) == []


def _gathering(made: Detector, implementation: DeformImplementation = gather_deform) -> Detector:
    layers = [m for m in made.network.modules() if isinstance(m, DeformableConv2d)]
    assert len(layers) == 13
    for layer in layers:
        layer.implementation = implementation
    return made


unchecked = pytest.fixture(without_shape_checks)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("training", [False, True])
def test_a_layer_is_one_graph_for_the_compiler(training: bool) -> None:
    found, wanted = _compiled("aot_eager", training=training)
    assert max(largest_faults(found, wanted)) < 2e-6


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_compiled_layer_gives_the_same() -> None:
    found, wanted = _compiled("inductor", training=False)
    assert max(largest_faults(found, wanted)) < 2e-6


def _compiled(backend: str, *, training: bool) -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    layer = DeformableConv2d(nn.Conv2d(4, 6, 3, padding=1, bias=False), gather_deform)
    nn.init.normal_(layer.offset_mask.weight, std=0.3)
    x = torch.randn(2, 4, 9, 7)
    torch.compiler.reset()
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    with torch.set_grad_enabled(training):
        results = []
        for one in (compiled, layer):
            layer.zero_grad()
            out = one(x)
            if training:
                out.square().mean().backward()
            gradients = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
            results.append([out.detach(), *gradients])
    return results[0], results[1]
