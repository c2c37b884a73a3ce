"""Released weights: what a file holds is told by keys and shapes; every key is accounted for."""

import logging
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.golden_reference import CONFIGS, PRESET_OF, released_file
from yolact_bench.build import build_network, load_detector
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.presets import preset
from yolact_bench.weights.initial import checkpoint
from yolact_bench.weights.load import load_weights, recognise_weights
from yolact_bench.weights.released import RELEASED, our_key, recognise, signature_of, to_ours

# Our names of modules → the reference's. Written out backwards, so that a mistake in the mapping
# is not repeated here; stages and lists that are turned round follow below.
BACKWARDS = {
    "backbone.preconv.": "backbone._preconv.",
    "backbone.stages.": "backbone.layers.",
    "backbone.layer1.": "backbone.layers.0.",
    "backbone.layer2.": "backbone.layers.1.",
    "backbone.layer3.": "backbone.layers.2.",
    "backbone.layer4.": "backbone.layers.3.",
    "fpn.laterals.0.": "fpn.lat_layers.2.",
    "fpn.laterals.1.": "fpn.lat_layers.1.",
    "fpn.laterals.2.": "fpn.lat_layers.0.",
    "fpn.smooth.0.": "fpn.pred_layers.2.",
    "fpn.smooth.1.": "fpn.pred_layers.1.",
    "fpn.smooth.2.": "fpn.pred_layers.0.",
    "fpn.downsample.": "fpn.downsample_layers.",
    "protonet.before.0.": "proto_net.0.",
    "protonet.before.1.": "proto_net.2.",
    "protonet.before.2.": "proto_net.4.",
    "protonet.after.": "proto_net.8.",
    "protonet.prototypes.": "proto_net.10.",
    "head.shared.": "prediction_layers.0.upfeature.0.",
    "head.boxes.": "prediction_layers.0.bbox_layer.",
    "head.scores.": "prediction_layers.0.conf_layer.",
    "head.coefficients.": "prediction_layers.0.mask_layer.",
    "semantic.": "semantic_seg_conv.",
    "rescore_net.layers.": "maskiou_net.maskiou_net.",
}
PRESETS_OF_RELEASED = {config: name for config, (name, _) in RELEASED.items()}


def theirs(key: str) -> str:
    for ours, reference in BACKWARDS.items():
        if key.startswith(ours):
            return (reference + key[len(ours) :]).replace("offset_mask", "conv_offset_mask")
    return key


def released_state(name: str) -> dict[str, Tensor]:
    """A state dict as the reference writes it, without memory behind its tensors."""
    with torch.device("meta"):
        network = build_network(resolve_architecture(preset(name)), initial=False)
    return {theirs(key): value for key, value in network.state_dict().items()}


@pytest.mark.parametrize("config", RELEASED)
def test_a_released_file_is_recognised_and_every_key_has_one_name(config: str) -> None:
    name = PRESETS_OF_RELEASED[config]
    state = released_state(name)
    assert recognise(state, file_name=f"{config}_54_800000.pth") == name
    with torch.device("meta"):
        own = build_network(resolve_architecture(preset(name)), initial=False).state_dict()
    mapped = to_ours(state, source=config)
    assert {k: v.shape for k, v in mapped.items()} == {k: v.shape for k, v in own.items()}
    assert len(mapped) == len(state)


@pytest.mark.parametrize("config", ["yolact_resnet50", "yolact_darknet53", "yolact_plus_base"])
def test_keys_and_shapes_decide_whatever_the_file_is_called(config: str) -> None:
    state = released_state(PRESETS_OF_RELEASED[config])
    for file_name in ("weights.pth", "yolact_im700_54_800000.pth"):
        assert recognise(state, file_name=file_name) == PRESETS_OF_RELEASED[config]


def test_base_im400_and_im700_are_told_by_the_name_and_without_one_not_at_all() -> None:
    state = released_state("yolact_r101")
    for config in ("yolact_base", "yolact_im400", "yolact_im700"):
        for suffix in ("_54_800000.pth", "_10_32100_interrupt.pth", ".pth"):
            assert recognise(state, file_name=config + suffix) == PRESETS_OF_RELEASED[config]
    for file_name in ("weights.pth", "yolact_resnet50_54_800000.pth", "yolact_im700_old.pth"):
        with pytest.raises(
            SpecError, match=r"yolact_r101, yolact_r101_im400, yolact_r101_im700.*--arm"
        ):
            recognise(state, file_name=file_name)


def test_sequential_nms_counts_pixels_of_the_models_own_input() -> None:
    """The reference's box scale is its input's side: 700 for im700, unless an arm says other."""
    for name, side in (("yolact_r101_im700", 700), ("yolact_r50", 550)):
        run = preset(name).changed({"nms": "sequential"})
        assert resolve_architecture(run).nms["grid_px"] == side
    measured = preset("yolact_r50").changed({"nms": {"name": "sequential", "grid_px": None}})
    assert resolve_architecture(measured).nms["grid_px"] is None


def test_other_classes_than_any_released_model_need_a_run_of_their_own() -> None:
    state = released_state("yolact_r50")
    state["prediction_layers.0.conf_layer.weight"] = torch.empty(3 * 6, 256, 3, 3, device="meta")
    assert signature_of(state, source="x").num_classes == 5
    with pytest.raises(SpecError, match=r"5 classes.*--arm"):
        recognise(state, file_name="yolact_resnet50_54_800000.pth")


@pytest.mark.parametrize("config", CONFIGS)
def test_loading_a_file_gives_every_tensor_its_place(config: str) -> None:
    network = load_detector(PRESET_OF[config], weights=released_file(config)).network
    state = torch.load(released_file(config), weights_only=True)
    own = network.state_dict()
    assert {our_key(key) for key in state} == set(own)
    for key, value in state.items():
        assert torch.equal(own[our_key(key)], value), key
    assert recognise_weights(released_file(config)) == PRESET_OF[config]


@pytest.fixture
def state() -> dict[str, Tensor]:
    loaded: dict[str, Tensor] = torch.load(released_file("yolact_resnet50"), weights_only=True)
    return loaded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "yolact_resnet50_54_800000.pth"


def test_what_the_reference_drops_of_old_files_is_dropped(
    state: dict[str, Tensor], file: Path
) -> None:
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    old["backbone.layer1.0.conv1.weight"] = torch.zeros(1)
    old["backbone.layer4.2.bn3.bias"] = torch.zeros(1)
    old["fpn.downsample_layers.2.weight"] = torch.zeros(1)
    old["fpn.downsample_layers.10.bias"] = torch.zeros(1)
    torch.save(old, file, _use_new_zipfile_serialization=False)
    network = load_detector("yolact_r50", weights=file).network
    bias = state["proto_net.10.bias"]
    assert torch.equal(network.state_dict()["protonet.prototypes.bias"], bias)


def missing(state: dict[str, Tensor]) -> None:
    del state["fpn.downsample_layers.1.bias"]


def unmapped(state: dict[str, Tensor]) -> None:
    state["prediction_layers.1.bbox_layer.weight"] = torch.zeros(1)


def unexpected(state: dict[str, Tensor]) -> None:
    state["maskiou_net.maskiou_net.0.weight"] = torch.zeros(8, 1, 3, 3)


def misshapen(state: dict[str, Tensor]) -> None:
    state["proto_net.10.bias"] = torch.zeros(16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (missing, r"missing fpn\.downsample\.1\.bias"),
        (unmapped, r"unknown keys: prediction_layers\.1\.bbox_layer\.weight"),
        (unexpected, r"unexpected rescore_net\.layers\.0\.weight"),
        (misshapen, r"other shapes protonet\.prototypes\.bias \[16\] for \[32\]"),
    ],
)
def test_a_file_with_one_key_wrong_is_refused_and_loads_nothing(
    change: object, message: str, state: dict[str, Tensor], file: Path
) -> None:
    assert callable(change)
    change(state)
    torch.save(state, file)
    network = load_detector("yolact_r50").network
    before = network.state_dict()["head.boxes.weight"].clone()
    with pytest.raises(SpecError, match=message):
        load_weights(network, file)
    assert torch.equal(network.state_dict()["head.boxes.weight"], before)


def test_weights_of_another_configuration_say_what_they_are() -> None:
    with pytest.raises(SpecError, match=r"does not fit.*it holds resnet50, no DCN, 3 anchors"):
        load_detector("yolact_plus_r50", weights=released_file("yolact_resnet50"))


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("made-by-unpickling"),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list and no state dict .*; save the state_dict"),
        ({"epoch": 3, "weights": torch.zeros(1)}, "neither a checkpoint of .* give one of these"),
        ({}, "holds no tensors; give a checkpoint"),
        ({"a": torch.zeros(1)}, "neither a checkpoint of .* YOLACT file; give one of these"),
        ({"layer1.0.conv1.weight": torch.zeros(1)}, "a backbone alone; train from it with init"),
        ({"head.scores.weight": torch.zeros(1)}, r"give its final\.pt|missing backbone"),
        ({"network": Harmful()}, r"Python objects \(getattr\) beside tensors, which are"),
    ],
)
def test_what_is_no_released_file_is_refused_with_the_reason(
    content: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "file.pth")
    for use in (recognise_weights, lambda path: load_detector("yolact_tiny", weights=path)):
        with pytest.raises(SpecError, match=message):
            use(tmp_path / "file.pth")
    assert not (tmp_path / "made-by-unpickling").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps([1])])
def test_a_file_that_torch_did_not_write_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(SpecError, match=r"file\.pth"):
        recognise_weights(tmp_path / "file.pth")


def test_a_size_that_the_name_contradicts_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "yolact_im700_54_800000.pth"
    network = load_detector("yolact_r50").network
    torch.save({theirs(key): value for key, value in network.state_dict().items()}, file)
    with caplog.at_level(logging.WARNING):
        load_weights(network, file)
    assert "for 700 px (yolact_r101_im700), but runs at 550 px" in caplog.text


def backbone_file(name: str, file: Path) -> dict[str, Tensor]:
    """ImageNet weights as the reference has them: its keys for DarkNet, torchvision's else."""
    backbone = load_detector(name).network.backbone
    state = {
        key: torch.rand_like(v) if v.is_floating_point() else v
        for key, v in backbone.state_dict().items()
    }
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    renamed = {theirs(f"backbone.{k}").removeprefix("backbone."): v for k, v in state.items()}
    content = renamed if name == "yolact_darknet53" else state
    torch.save({**content, "fc.weight": torch.zeros(10, 2), "fc.bias": torch.zeros(10)}, file)
    return state


@pytest.mark.parametrize(
    ("name", "file_name", "colours"),
    [
        ("yolact_r50", "resnet50-19c8e357.pth", (123.68, 116.78, 103.94)),
        ("yolact_r101", "resnet101_reducedfc.pth", (123.68, 116.78, 103.94)),
        ("yolact_darknet53", "darknet53.pth", (0.0, 0.0, 0.0)),
    ],
)
def test_imagenet_weights_of_the_reference_fill_the_backbone(
    name: str, file_name: str, colours: tuple[float, float, float], tmp_path: Path
) -> None:
    """RGB, normalised by ImageNet's mean and deviation for resnets, x / 255 for DarkNet."""
    state = backbone_file(name, tmp_path / file_name)
    backbone = load_detector(name).network.backbone
    checkpoint(backbone, file=str(tmp_path / file_name))
    loaded = backbone.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    assert backbone.mean == colours
    assert backbone.std == ((255.0,) * 3 if name == "yolact_darknet53" else (58.40, 57.12, 57.38))


def test_a_whole_detector_is_no_initial_backbone() -> None:
    backbone = load_detector("yolact_r50").network.backbone
    with pytest.raises(SpecError, match="a whole detector"):
        checkpoint(backbone, file=str(released_file("yolact_resnet50")))


def test_a_darknet_file_with_a_key_too_many_is_refused(tmp_path: Path) -> None:
    backbone_file("yolact_darknet53", tmp_path / "darknet53.pth")
    state = torch.load(tmp_path / "darknet53.pth", weights_only=True)
    torch.save({**state, "layers.5.0.0.weight": torch.zeros(1)}, tmp_path / "darknet53.pth")
    backbone = load_detector("yolact_darknet53").network.backbone
    with pytest.raises(SpecError, match=r"unexpected layers\.5\.0\.0\.weight"):
        checkpoint(backbone, file=str(tmp_path / "darknet53.pth"))
