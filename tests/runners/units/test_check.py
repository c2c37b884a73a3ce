"""The check of a run before anything of it is trained: what it builds, and what it refuses."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch

from runners.cli.spec_commands import CheckCommand
from runners.cli.specs import check
from runners.units import meta_network as module
from tests.support.small_ablation import SPEC, write_spec
from yolact_bench.build import build_network
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.shapes import Predictions
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.run import Run

# Five arms, two architectures; no other test has these, so that none is in the cache.
ARMS = """\
  sequential: {nms: sequential, protonet.k: 13}
  soft: {nms: soft, protonet.k: 13}
  slow: {schedule.lr: 0.0001, protonet.k: 13}
  k_13: {protonet.k: 13}
  k_11: {protonet.k: 11}
"""
HEAD, _, _ = SPEC.partition("arms:\n")


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs whose network has been built."""
    built: list[Run] = []
    build = module.build_network

    def counted(run: Run, **options: bool) -> object:
        built.append(run)
        return build(run, **options)

    monkeypatch.setattr(module, "build_network", counted)
    return built


def lines_of(spec: Path) -> list[str]:
    with redirect_stdout(StringIO()) as output:
        check(CheckCommand(specs=[spec]))
    return output.getvalue().splitlines()


def test_arms_of_one_architecture_build_one_network(tmp_path: Path, builds: list[Run]) -> None:
    spec = write_spec(tmp_path, f"{HEAD}arms:\n{ARMS}".replace("baseline: k_4", "baseline: k_13"))
    assert lines_of(spec)[0] == f"{spec}: 5 arms OK"
    assert sorted(run.protonet["k"] for run in builds) == [11, 13]  # type: ignore[type-var]


def test_what_an_arm_changes_unwritten_is_listed_with_what_to_write(tmp_path: Path) -> None:
    """`top_k` of `matrix` is another, but kept, unless the arm wants those of the component."""
    arms = (
        "  k_4: {nms.max_iou: 0.6}\n"
        "  kept: {nms: matrix}\n"
        "  own: {nms: {name: matrix, defaults: component}}\n"
        "  silent: {}\n"
    )
    head = HEAD.replace("[protonet.k, nms, schedule.lr]", "[nms]")
    first, of_kept, of_own, of_silent, keeps, remedy = lines_of(
        write_spec(tmp_path, f"{head}arms:\n{arms}")
    )
    assert first.endswith(": 4 arms OK")
    assert of_kept.startswith("  kept: also nms.decay gaussian (baseline unset), ")
    assert of_own.startswith("  own: also nms.top_k 500 (baseline 200), nms.decay ")
    assert of_silent == "  silent: also nms.max_iou 0.5 (baseline 0.6)"
    assert keeps == "  kept: keeps nms.top_k 200 (its own: 500)"
    assert remedy == "  (to keep the baseline's value, write silent: {nms.max_iou: 0.6})"


def test_an_option_without_effect_is_nothing_to_write(tmp_path: Path) -> None:
    """Gaussian soft NMS has a limit on IoU that it does not look at; writing it is refused."""
    head = HEAD.replace("[protonet.k, nms, schedule.lr]", "[nms]")
    spec = write_spec(tmp_path, f"{head}arms:\n  k_4: {{}}\n  soft: {{nms: soft}}\n")
    _, of_soft = lines_of(spec)
    assert of_soft.startswith("  soft: also nms.max_iou 0.3 (baseline 0.5), ")


@pytest.mark.parametrize(
    ("policy", "advice"),
    [
        ("auto", r"write batch_norm: \{name: train\}, or schedule\.batch_size: 6 or more$"),
        ("{name: auto, min_batch: 16}", r"schedule\.batch_size: 16 or more$"),
        ("frozen", r"write batch_norm: \{name: train\}$"),
    ],
)
def test_frozen_statistics_of_random_weights_are_refused_with_what_helps(
    tmp_path: Path, policy: str, advice: str
) -> None:
    """No batch is large enough for `frozen`, and the option says which is for `auto`."""
    text = SPEC.replace("batch_norm: train", f"batch_norm: {policy}\n  init: none")
    with pytest.raises(SpecError, match=advice):
        lines_of(write_spec(tmp_path, text))


def test_an_arm_of_an_architecture_already_built_is_still_checked(
    tmp_path: Path, builds: list[Run]
) -> None:
    wrong = "  wrong: {nms: {name: fast, max_iu: 0.5}, protonet.k: 9}\n"
    text = (f"{HEAD}arms:\n{ARMS}" + wrong).replace("13", "9").replace(": k_4", ": k_9")
    with pytest.raises(SpecError, match=r"arms\.wrong: nms\.fast: .*did you mean 'max_iou'"):
        lines_of(write_spec(tmp_path, text))
    assert [run.protonet["k"] for run in builds].count(9) == 1


def test_a_network_that_torch_refuses_is_reported_with_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(run: Run, **options: bool) -> object:
        raise RuntimeError("Storage size calculation overflowed")

    monkeypatch.setattr(module, "build_network", refuse)
    text = f"{HEAD}arms:\n{ARMS}".replace("13", "14").replace("baseline: k_4", "baseline: k_14")
    message = (
        r"arms\.sequential: the network cannot be built: Storage .*; write other sizes, as of image"
    )
    with pytest.raises(SpecError, match=message):
        lines_of(write_spec(tmp_path, text))


def test_a_batch_norm_of_other_channels_than_its_input_is_refused() -> None:
    with torch.device("meta"):
        norm = torch.nn.BatchNorm2d(4)
        features = torch.empty(1, 3, 2, 2)
    with pytest.raises(ValueError, match="4 channels, got 3"), module._ShapesAlone():
        norm(features)


def test_the_shapes_of_a_network_are_those_of_the_whole_computation() -> None:
    run = resolve_architecture(read_run("yolact_plus_r50", relative_to=Path()))
    with torch.device("meta"):
        network = build_network(run, initial=False)
    x = torch.empty(1, 3, run.image_size, run.image_size, device="meta")
    with torch.no_grad():
        whole = shapes_of(network(x))
        with module._ShapesAlone():
            assert shapes_of(network(x)) == whole


def shapes_of(raw: Predictions) -> list[tuple[torch.Size, torch.dtype]]:
    maps = [raw.boxes, raw.class_logits, raw.coefficients, raw.prototypes, raw.semantic]
    return [(map_.shape, map_.dtype) for map_ in maps if map_ is not None]
