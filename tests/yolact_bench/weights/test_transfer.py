"""Training on from a detector of other classes: which outputs are kept, and what must fit."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from runners.training.checkpoint import save_final
from runners.units.meta_network import check_init, meta_network
from tests.yolact_bench.weights.test_released import theirs
from yolact_bench.build import build_network, initialise
from yolact_bench.errors import MissingDataError, SpecError
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run

SMALL = {
    "protonet": {"name": "fcn", "k": 4, "channels": 8},
    "fpn.channels": 8,
    "head.channels": 8,
    "image_size": 200,
    "rescore_net": {"name": "mask_iou", "channels": [4, 4]},
}
OLD, NEW = ("disc", "square", "triangle", "star", "ring"), ("ring", "hexagon", "square")
ANCHORS = 9  # a cell
SHARED = {0: 4, 2: 1}  # label among NEW → label among OLD: ring and square


def run_of(classes: tuple[str, ...] = NEW, **changes: object) -> Run:
    return preset("yolact_tiny").changed({**SMALL, "classes": classes, **changes})


def network_of(run: Run) -> Yolact:
    torch.manual_seed(len(run.classes))
    return build_network(resolve_architecture(run, files=False), initial=False)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training of five classes."""
    path = tmp_path_factory.mktemp("old") / "final.pt"
    run = resolve_architecture(run_of(OLD))
    network = network_of(run)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    save_final(path, run=run, facts={"train_digest": run.train_digest}, network=network)
    return path


def tensors(file: Path) -> dict[str, Tensor]:
    loaded: dict[str, Tensor] = torch.load(file, weights_only=True)["network"]
    return loaded


def filled(file: Path, run: Run | None = None, **options: object) -> dict[str, Tensor]:
    run = run or run_of()
    run = run.changed({"init": {"name": "detector", "file": str(file), **options}})
    network = network_of(run)
    initialise(network, resolve_architecture(run))
    return network.state_dict()


CLASS_LAYERS = ("head.scores", "semantic", "rescore_net.layers.4")


def test_outputs_of_classes_with_equal_names_are_kept_and_all_others_start_anew(old: Path) -> None:
    theirs, fresh, ours = tensors(old), network_of(run_of()).state_dict(), filled(old)
    for layer, first in zip(CLASS_LAYERS, (1, 0, 0), strict=True):
        for part in ("weight", "bias"):
            key, blocks = f"{layer}.{part}", ANCHORS if first else 1
            shapes = (len(OLD) + first, len(NEW) + first)
            a = theirs[key].reshape(blocks, shapes[0], -1)
            b, c = (t[key].reshape(blocks, shapes[1], -1) for t in (fresh, ours))
            for label in range(len(NEW)):
                source = a[:, first + SHARED[label]] if label in SHARED else b[:, first + label]
                assert torch.equal(c[:, first + label], source), (key, label)
            if first:
                assert torch.equal(c[:, 0], a[:, 0]), "background"
    rest = [key for key in theirs if not key.startswith(CLASS_LAYERS)]
    assert all(torch.equal(ours[key], theirs[key]) for key in rest)
    assert len(rest) == len(theirs) - 2 * len(CLASS_LAYERS)


def test_new_heads_keep_no_output_of_any_class(old: Path) -> None:
    theirs, fresh, ours = tensors(old), network_of(run_of()).state_dict(), filled(old, heads="new")
    for key, value in ours.items():
        source = fresh if key.startswith(CLASS_LAYERS) else theirs
        assert torch.equal(value, source[key]), key


def test_both_lists_are_logged(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        filled(old)
    (line,) = [text for text in caplog.messages if text.startswith("init: ")]
    assert "kept: background, ring, square; random: hexagon" in line
    assert line.endswith("left out of the file: disc, triangle, star")


def test_a_released_file_and_an_imported_folder_are_as_good(old: Path, tmp_path: Path) -> None:
    """A released file does not say its classes unless it is of a known configuration."""
    ours = filled(old)
    file = tmp_path / "weights.pth"
    torch.save({theirs(key): value for key, value in tensors(old).items()}, file)
    with pytest.raises(SpecError, match=r"does not say the names .* classes: \[…\].* heads: new"):
        filled(file)
    for copy in (filled(file, classes=list(OLD)), filled(old.parent)):
        assert all(torch.equal(copy[key], value) for key, value in ours.items())
    with pytest.raises(SpecError, match="4 names, where the file has 5 different ones"):
        filled(file, classes=list(OLD[:4]))
    with pytest.raises(SpecError, match=r"init\.detector\.classes: disc, x, but .* has disc, squ"):
        filled(old, classes=["disc", "x"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protonet.k": 6}, r"head\.coefficients.*has them: protonet$"),
        ({"anchors": {"name": "one_scale"}}, r"head\.boxes\.bias \[36\] for \[12\].*: anchors$"),
        ({"backbone": "resnet34"}, r"missing backbone\.layer1\.2.*has them: backbone$"),
        ({"rescore_net": "none"}, r"unexpected rescore_net\.layers.*has them: rescore_net$"),
        ({"fpn.channels": 16}, "has them: .*fpn"),
    ],
)
def test_what_does_not_fit_is_named_with_its_slot_before_anything_trains(
    old: Path, changes: dict[str, object], message: str
) -> None:
    """On the device "meta" as in a training."""
    run = run_of(**changes)
    with pytest.raises(SpecError, match=message):
        filled(old, run)
    run = resolve_architecture(run.changed({"init": {"name": "detector", "file": str(old)}}))
    with pytest.raises(SpecError, match=message):
        check_init(meta_network(run), run)


def test_a_check_reads_the_file_and_leaves_the_shared_network_as_it_is(old: Path) -> None:
    run = resolve_architecture(run_of().changed({"init": {"name": "detector", "file": str(old)}}))
    network = meta_network(run)
    check_init(network, run)
    assert all(value.is_meta for value in network.state_dict().values())


def digest(file: Path, **options: object) -> str:
    choice = {"name": "detector", "file": str(file), **options}
    return resolve_architecture(run_of().changed({"init": choice})).train_digest


def test_the_train_digest_holds_content_and_classes_and_not_the_path(
    old: Path, tmp_path: Path
) -> None:
    copy = shutil.copy(old, tmp_path / "renamed.pt")
    assert digest(Path(copy)) == digest(old)
    assert digest(old, heads="new") != digest(old)
    state = torch.load(old, weights_only=True)
    torch.save({**state, "classes": ["a", "b", "c", "d", "e"]}, copy)
    assert digest(Path(copy)) != digest(old)
    with pytest.raises(MissingDataError, match=r"init\.detector\.file: no file at .*none\.pt"):
        digest(tmp_path / "none.pt")


def test_a_file_that_changes_after_the_plan_is_refused(old: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(old, tmp_path / "copy.pt"))
    run = resolve_architecture(run_of().changed({"init": {"name": "detector", "file": str(copy)}}))
    state = torch.load(copy, weights_only=True)
    state["network"]["semantic.bias"] += 1
    torch.save(state, copy)
    with pytest.raises(SpecError, match="has changed since the run was resolved"):
        initialise(network_of(run), run)
