"""Labels of weights are those of the data by name, or the weights are refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runners.training.checkpoint import save_final
from yolact_bench.build import build_network, load_detector
from yolact_bench.errors import SpecError
from yolact_bench.model.head import SharedHead
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run
from yolact_bench.weights.load import load_weights

FACTS = {"iterations": 1, "seconds": 1.0, "images_per_second": 1.0, "skipped_annotations": 0}
NAMES = ("a", "b", "c")
ORDER = ("c", "a", "b")
NETS = {
    "mask_iou": {"name": "mask_iou", "channels": [8, 16]},
    "mask_scoring": {"name": "mask_scoring", "channels": 8, "hidden": 8},
}


def run_of(classes: tuple[str, ...], net: str = "mask_iou") -> Run:
    narrow = {"protonet": {"name": "fcn", "k": 4, "channels": 8}, "head.channels": 8}
    run = preset("yolact_tiny").changed({**narrow, "image_size": 72, "rescore_net": NETS[net]})
    return resolve_architecture(replace(run, classes=classes))


def save(path: Path, run: Run) -> Path:
    """Write weights of which each class has its own values."""
    torch.manual_seed(0)
    network = build_network(run, initial=False)
    for layer in network.class_layers:
        for parameter in network.get_submodule(layer).parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    save_final(path, run=run, facts={**FACTS, "peak_memory_mb": None}, network=network)
    return path


@pytest.mark.parametrize("net", NETS)
def test_equal_names_in_another_order_are_mapped_with_a_note(
    tmp_path: Path, net: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Logits, semantic maps and mask qualities of c, a, b are those of the file's 2, 0, 1."""
    file = save(tmp_path / "final.pt", run_of(NAMES, net))
    as_saved, mapped = (build_network(run_of(names, net)).eval() for names in (NAMES, ORDER))
    load_weights(as_saved, file, classes=NAMES)
    assert "mapped by name" not in caplog.text
    load_weights(mapped, file, classes=ORDER)
    assert "labels are mapped by name: it detects a, b, c, and the data has c, a, b" in caplog.text

    image = torch.rand(1, 3, 72, 72)
    with torch.inference_mode():
        theirs, ours = as_saved(image), mapped(image)
    assert torch.allclose(ours.class_logits, theirs.class_logits[..., [0, 3, 1, 2]], atol=1e-6)
    assert not torch.allclose(ours.class_logits, theirs.class_logits, atol=1e-3)
    own = dict(mapped.named_parameters())
    changed = {
        name for name, value in as_saved.named_parameters() if not torch.equal(value, own[name])
    }
    last = "rescore_net.iou" if net == "mask_scoring" else "rescore_net.layers.4"
    layers = ("head.scores", "semantic", last)
    assert changed == {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    for layer in layers[1:]:
        value = as_saved.get_parameter(f"{layer}.bias")
        assert torch.equal(mapped.get_parameter(f"{layer}.bias"), value[[2, 0, 1]])


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        (("a", "b", "d"), r"\(only in the weights: c; only in the data: d\)"),
        (("a", "b"), r"\(only in the weights: c\)"),
        (("a", "b", "c", "d"), r"\(only in the data: d\)"),
    ],
)
def test_other_names_are_refused_with_both_lists(
    tmp_path: Path, names: tuple[str, ...], difference: str
) -> None:
    file = save(tmp_path / "final.pt", run_of(NAMES))
    lists = rf"detects 3 classes \(a, b, c\), and the data has \d classes? \({', '.join(names)}\) "
    with pytest.raises(SpecError, match=lists + difference):
        load_weights(build_network(run_of(names)), file, classes=names)


def test_weights_that_do_not_say_their_classes_are_taken_as_they_are(tmp_path: Path) -> None:
    file = save(tmp_path / "final.pt", run_of(NAMES))
    state = torch.load(file, weights_only=True)
    del state["classes"]
    torch.save(state, file)
    network = build_network(run_of(ORDER))
    load_weights(network, file, classes=ORDER)
    assert torch.equal(network.head.scores.bias, state["network"]["head.scores.bias"])


def test_a_head_that_does_not_say_its_classes_cannot_be_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(tmp_path / "final.pt", run_of(NAMES))
    monkeypatch.setattr(SharedHead, "class_layers", {})
    with pytest.raises(SpecError, match="SharedHead does not say which outputs are of which class"):
        load_weights(build_network(run_of(ORDER)), file, classes=ORDER)


def test_a_detector_has_the_classes_of_its_weights(tmp_path: Path) -> None:
    """Whatever the arm was trained on elsewhere; named ones are mapped."""
    file = save(tmp_path / "final.pt", run_of(NAMES))
    run = run_of(NAMES)
    slots = {"protonet": run.protonet, "head": run.head, "rescore_net": run.rescore_net}
    own = load_detector("yolact_tiny", weights=file, image_size=72, **slots)
    assert own.classes == NAMES
    other = load_detector("yolact_tiny", weights=file, image_size=72, classes=ORDER, **slots)
    assert other.classes == ORDER
    bias = own.network.head.scores.bias.view(-1, 4)  # type: ignore[union-attr]
    assert torch.equal(other.network.head.scores.bias.view(-1, 4), bias[:, [0, 3, 1, 2]])  # type: ignore[union-attr]
