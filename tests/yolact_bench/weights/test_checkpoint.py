"""Checkpoints: what they say of their classes, and how a damaged one is refused."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from runners.training.checkpoint import load_facts, save_final
from runners.units.unit import run_yaml
from tests.support.golden_reference import released_file
from yolact_bench.build import build_network, load_detector
from yolact_bench.errors import SpecError
from yolact_bench.published_datasets import COCO_CLASSES
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run
from yolact_bench.weights.checkpoint import read_checkpoint
from yolact_bench.weights.classes import StoredClasses, stored_classes
from yolact_bench.weights.load import load_weights

FACTS = {
    "iterations": 3,
    "seconds": 1.5,
    "images_per_second": 4.0,
    "skipped_annotations": 0,
    "peak_memory_mb": None,
}


@pytest.fixture(scope="module")
def run() -> Run:
    narrow = {"protonet": {"name": "fcn", "k": 4, "channels": 8}, "head.channels": 8}
    return resolve_architecture(preset("yolact_tiny").changed({**narrow, "image_size": 72}))


@pytest.fixture(params=["final.pt", "final.safetensors"])
def file(run: Run, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / str(request.param)
    facts = {**FACTS, "train_digest": run.train_digest}
    save_final(path, run=run, facts=facts, network=build_network(run))
    return path


def test_a_checkpoint_says_its_classes_and_data_and_loads(file: Path, run: Run) -> None:
    assert stored_classes(file) == StoredClasses(names=run.classes, dataset="shapes")
    assert load_facts(file, train_digest=run.train_digest)["iterations"] == 3
    network = build_network(run)
    load_weights(network, file, train_digest=run.train_digest)
    stored = read_checkpoint(file)["network"]
    assert all(torch.equal(value, stored[key]) for key, value in network.state_dict().items())


def earlier(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what is in a file."""
    state = torch.load(file, weights_only=True)
    change(state)
    torch.save(state, file)


@pytest.fixture
def final(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "final.pt"
    facts = {**FACTS, "train_digest": run.train_digest}
    save_final(path, run=run, facts=facts, network=build_network(run))
    return path


def test_a_checkpoint_of_an_earlier_version_has_the_classes_of_the_run_beside_it(
    final: Path, run: Run
) -> None:
    earlier(final, lambda state: (state.pop("classes"), state.pop("dataset")))
    assert stored_classes(final) is None
    final.with_name("run.yaml").write_text(run_yaml(run))
    assert stored_classes(final) == StoredClasses(names=run.classes, dataset="shapes")
    other = {**yaml.safe_load(run_yaml(run)), "classes": ["x", "y"]}
    final.with_name("run.yaml").write_text(yaml.safe_dump(other))
    assert stored_classes(final) is None  # it is of another training


def test_a_released_file_has_the_classes_of_its_configuration() -> None:
    classes = stored_classes(released_file("yolact_resnet50"))
    assert classes == StoredClasses(names=COCO_CLASSES, dataset="coco")


def put(*keys: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value

    return change


BIAS = "head.scores.bias"
NAN = torch.tensor([1, math.nan])
OUTPUTS = 9 * (5 + 1)  # anchors a cell of yolact_tiny, classes of shapes and background
DAMAGE: dict[str, Callable[[dict[str, Any]], None]] = {
    "its schema is 2, where 1 is read": put("schema", value=2),
    "it has no network": lambda state: state.pop("network"),
    "its facts is not what": put("facts", value=[1]),
    "its network is not what": put("network", BIAS, value=3.0),
    "its classes is not what": put("classes", value="disc"),
    rf"{BIAS} has values that are not finite \(1 of 2\)": put(
        "network", BIAS, value=torch.tensor([1, math.nan])
    ),
    f"{BIAS} is sparse": put("network", BIAS, value=torch.zeros(3).to_sparse()),
    f"{BIAS} is complex": put("network", BIAS, value=torch.zeros(3, dtype=torch.complex64)),
    "it is not a checkpoint of the training": put("facts", "train_digest", value="0123"),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_checkpoint_is_named_with_its_fault_and_the_remedy(
    final: Path, run: Run, fault: str
) -> None:
    earlier(final, DAMAGE[fault])
    with pytest.raises(
        SpecError, match=rf"final\.pt is damaged: {fault}.*; remove it to train again"
    ):
        load_facts(final, train_digest=run.train_digest)


def test_integers_in_the_place_of_weights_are_refused_by_name(final: Path, run: Run) -> None:
    earlier(final, put("network", BIAS, value=torch.zeros(OUTPUTS, dtype=torch.int64)))
    with pytest.raises(SpecError, match=rf"{BIAS} is of int64, where float32 is meant"):
        load_weights(build_network(run), final)


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_torn_checkpoint_is_damaged(file: Path, run: Run, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(SpecError, match=r"is damaged: it is (not|no).*; remove it to train again"):
        load_facts(file, train_digest=run.train_digest)
    with pytest.raises(SpecError, match=r"^weights: .*final\S+ is (not|no)"):
        load_detector("yolact_tiny", weights=file)


def test_changed_bytes_in_the_weights_are_no_other_weights(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "final.pt"
    network = build_network(run)
    save_final(file, run=run, facts=FACTS, network=network)
    largest = max(network.parameters(), key=lambda one: one.numel())
    content = bytearray(file.read_bytes())
    content[content.index(largest.detach().numpy().tobytes())] ^= 1
    file.write_bytes(content)
    with pytest.raises(SpecError, match="damaged: the checksum of"):
        load_weights(build_network(run), file)


def test_variances_below_0_are_refused(run: Run, tmp_path: Path) -> None:
    network = build_network(run)
    state = network.state_dict()
    key = next(key for key in state if key.endswith("running_var"))
    torch.save({**state, key: state[key] - 2}, tmp_path / "other.pth")
    with pytest.raises(SpecError, match="variances below 0"):
        load_weights(network, tmp_path / "other.pth")
