"""Weights as other trainers save them: wrapped, with prefixes, of other classes, or broken."""

import argparse
import io
import logging
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from runners.training.checkpoint import save_final
from tests.yolact_bench.weights.test_released import theirs
from yolact_bench.build import build_network, initialise
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run
from yolact_bench.weights.detector_file import read_detector
from yolact_bench.weights.load import load_weights
from yolact_bench.weights.state_file import load_exactly, read_state

NARROW = {"protonet": {"name": "fcn", "k": 4, "channels": 8}, "head.channels": 8, "fpn.channels": 8}
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def run() -> Run:
    return resolve_architecture(preset("yolact_tiny").changed({**NARROW, "image_size": 72}))


@pytest.fixture(scope="module")
def names(run: Run) -> list[str]:
    """Our names of all tensors."""
    with torch.device("meta"):
        return list(build_network(run, initial=False).state_dict())


@pytest.fixture(params=["ours", "released"])
def state(names: list[str], request: pytest.FixtureRequest) -> State:
    """A number for each tensor, as what matters is where it is found."""
    rename: Callable[[str], str] = theirs if request.param == "released" else str
    return {rename(key): torch.tensor([float(i)]) for i, key in enumerate(names)}


def prefixed(prefix: str, state: Mapping[str, object]) -> dict[str, object]:
    return {prefix + key: value for key, value in state.items()}


OPTIMIZER = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}
BESIDE = {"epoch": 3, "best": np.float64(0.5), "args": argparse.Namespace(lr=1), "opt": OPTIMIZER}
# pytorch 3805 and YOWO 48, and others of their kind.
WRAPPERS: dict[str, Callable[[State], object]] = {
    "a bare state dict": lambda s: s,
    "DataParallel": lambda s: prefixed("module.", s),
    "state_dict, optimizer and epoch beside": lambda s: {"state_dict": s, **BESIDE},
    "module. in state_dict": lambda s: {"state_dict": prefixed("module.", s), "epoch": 1},
    "torch.compile": lambda s: prefixed("_orig_mod.", s),
    "torch.compile inside": lambda s: {k.replace(".", "._orig_mod.", 1): v for k, v in s.items()},
    "compile in DDP": lambda s: {"model": prefixed("module._orig_mod.", s)},
    "lightning": lambda s: {"state_dict": {**prefixed("model.", s), "loss.w": torch.ones(1)}},
    "model_state_dict": lambda s: {"model_state_dict": s, "scheduler": {"last": np.int64(3)}},
    "ema": lambda s: {"ema": {"module": s, "updates": 10}, **BESIDE},
    "weights": lambda s: {"weights": s},
    "net.": lambda s: {"net": prefixed("net.", s)},
    "any word": lambda s: {"whatever": prefixed("a.b.", s)},
    "numbers beside tensors": lambda s: {**s, "epoch": 3, "lr": np.float32(0.1)},
    "averages": lambda s: {**prefixed("module.", s), "n_averaged": torch.tensor(4)},
    "numpy arrays": lambda s: {"model": {k: v.numpy() for k, v in s.items()}},
}


def values(path: Path, names: list[str]) -> list[float]:
    """The numbers of a file, in the order of our names."""
    tensors = read_detector(path, names=names).tensors
    assert tensors.keys() == set(names)
    return [float(tensors[name]) for name in names]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_weights_in_a_wrapper_are_those_without_it_and_the_log_says_so(
    wrapper: str,
    state: State,
    names: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    torch.save(WRAPPERS[wrapper](state), tmp_path / "weights.pth")
    with caplog.at_level(logging.INFO):
        assert values(tmp_path / "weights.pth", names) == list(range(len(names)))
    assert ("weights.pth: " in caplog.text) == (wrapper != "a bare state dict")


def test_averaged_weights_are_taken_and_the_others_named(
    state: State, names: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = {key: value + 1 for key, value in state.items()}
    torch.save({"model": others, "ema": state}, tmp_path / "weights.pth")
    with caplog.at_level(logging.INFO):
        assert values(tmp_path / "weights.pth", names) == list(range(len(names)))
    assert "those under 'ema'; others that fit are left out: model" in caplog.text


def test_a_file_of_safetensors_is_as_good(state: State, names: list[str], tmp_path: Path) -> None:
    save_file(prefixed("model.", state), tmp_path / "x.bin", metadata={"format": "pt"})
    assert values(tmp_path / "x.bin", names) == list(range(len(names)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_is_cast_with_a_note(
    dtype: torch.dtype, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = build_network(run, initial=False).state_dict()
    floats = {key: value for key, value in state.items() if value.is_floating_point()}
    cast = {**state, **{key: value.to(dtype) for key, value in floats.items()}}
    torch.save(cast, tmp_path / "weights.pth")
    network = build_network(run, initial=False)
    with caplog.at_level(logging.INFO):
        load_weights(network, tmp_path / "weights.pth")
    key = "protonet.after.weight"
    assert torch.equal(network.state_dict()[key], cast[key].float())
    assert f"{len(floats)} tensors of {str(dtype)[6:]} become float32" in caplog.text


def nan(value: Tensor) -> Tensor:
    value = value.clone()
    value.view(-1)[0] = torch.nan
    return value


FAULTS: dict[str, Callable[[Tensor], object]] = {
    r"has values that are not finite \(1 of 8\)": nan,
    r"has values that are not finite \(8 of 8\)": lambda t: torch.full_like(t, torch.inf),
    "is sparse": Tensor.to_sparse,
    r"is complex \(complex64\)": lambda t: t.to(torch.complex64),
    "is of int32, where float32 is meant": lambda t: t.int(),
    "is of bool, where float32 is meant": lambda t: t.bool(),
    "has no values": lambda t: t.to("meta"),
    "has no values, or fewer than its shape says": lambda t: torch.zeros(1).expand(8),
    r"is quantised \(qint8\)": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_weight_is_refused_by_name(fault: str, tmp_path: Path) -> None:
    layer = nn.Linear(1, 8)
    torch.save({**layer.state_dict(), "bias": FAULTS[fault](torch.zeros(8))}, tmp_path / "w.pth")
    state: Mapping[str, Any] = read_state(tmp_path / "w.pth", where="weights")
    with pytest.raises(SpecError, match=rf"^weights: w\.pth: bias {fault}"):
        load_exactly(layer, state, source="w.pth")


def bomb(path: Path) -> None:
    """An archive of 100 kB that holds 100 MB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100_000_000))


def cut(path: Path) -> None:
    whole = io.BytesIO()
    torch.save({"a": torch.zeros(1000)}, whole)
    path.write_bytes(whole.getvalue()[:-500])


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("made-by-unpickling"),))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "expands from .* to 100,000,000 bytes": bomb,
    "is not a PyTorch checkpoint, or is damaged": cut,
    "is no file of safetensors, or is damaged": lambda p: p.write_bytes(b"\xff" * 8 + b"{}"),
    "holds Python objects .* save the state_dict": lambda p: torch.save({"a": Code()}, p),
    "holds a Tensor and no state dict": lambda p: torch.save(torch.zeros(3), p),
    "holds no tensors": lambda p: torch.save({"epoch": 3}, p),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_what_is_no_file_of_weights_is_one_message(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    HOSTILE[fault](tmp_path / "weights.pth")
    with pytest.raises(SpecError, match=rf"^weights: \S*weights\.pth {fault}") as caught:
        read_detector(tmp_path / "weights.pth", names=())
    assert "\n" not in str(caught.value)
    assert not Path("made-by-unpickling").exists()


# yolact 36, 324, 387, 399 and 577.
@pytest.mark.parametrize("kind", ["checkpoint", "released", "module."])
def test_a_detector_of_other_classes_is_where_a_training_starts(
    kind: str, run: Run, tmp_path: Path
) -> None:
    file, classes, source = tmp_path / "weights.pth", list(run.classes), build_network(run)
    nn.init.normal_(source.head.scores.bias)  # type: ignore[union-attr, arg-type]
    own = source.state_dict()
    if kind == "checkpoint":
        save_final(file, run=run, facts={}, network=source)
    else:
        prefix = kind if kind == "module." else ""
        torch.save(prefixed(prefix, {theirs(key): own[key] for key in own}), file)
    init: dict[str, Any] = {"name": "detector", "file": str(file), "classes": classes}
    other = run.changed({"classes": ("x", "ring"), "init": init})
    network = build_network(other, initial=False)
    initialise(network, resolve_architecture(other))
    bias, source_bias = (n.state_dict()["head.scores.bias"].view(9, -1) for n in (network, source))
    ring = 1 + classes.index("ring")
    assert torch.equal(bias[:, [0, 2]], source_bias[:, [0, ring]])
    assert not bias[:, 1].any()  # as biases of a new head start
