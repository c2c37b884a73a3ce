"""Specs: expansion to arms, digests, and errors that say where and what to write instead."""

import re
from pathlib import Path

import pytest
import yaml
from torch import nn

from yolact_bench.catalog import components
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.ablation import load
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.presets import PRESETS, preset
from yolact_bench.spec.run import Run

SPEC = """\
# Does k matter?
schema: 1
base: yolact_tiny
baseline: k_16
changes: [protonet.k, nms]
arms:
  k_16: {}
  k_4: {protonet.k: 4}
  sequential: {nms: sequential}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return path


def digests(run: Run) -> tuple[str, str, str]:
    run = resolve_architecture(run)
    return run.train_digest, run.forward_digest, run.detect_digest


def test_arms_change_only_what_they_name(tmp_path: Path) -> None:
    ablation = load(write(tmp_path, SPEC))
    runs = {arm.name: arm.run for arm in ablation.arms}
    assert runs["k_16"] == preset("yolact_tiny")
    assert runs["k_4"].protonet == {**preset("yolact_tiny").protonet, "k": 4}
    assert runs["sequential"].nms == {"name": "sequential"}
    assert (ablation.name, ablation.question) == ("spec", "Does k matter?")


def test_a_grid_has_every_combination_and_one_factor_varies_one_at_a_time(tmp_path: Path) -> None:
    factors = "{protonet.k: [4, 8], nms: [fast, {name: soft, sigma: 0.5}]}"
    head = "schema: 1\nbase: yolact_tiny\nchanges: [protonet.k, nms]\n"
    grid = load(write(tmp_path, f"{head}baseline: k_4.fast\ngrid: {factors}\n"))
    assert [arm.name for arm in grid.arms] == [
        "k_4.fast",
        "k_4.soft_sigma_0.5",
        "k_8.fast",
        "k_8.soft_sigma_0.5",
    ]
    one = load(write(tmp_path, f"{head}baseline: base\none_factor: {factors}\n"))
    assert [arm.name for arm in one.arms] == ["base", "k_4", "k_8", "fast", "soft_sigma_0.5"]


def test_a_grid_is_counted_before_it_is_expanded(tmp_path: Path) -> None:
    """Nine factors of ten values each: 10^9 combinations."""
    slots = [f"protonet.k{number}" for number in range(9)]
    factors = ", ".join(f"{slot}: {list(range(10))}" for slot in slots)
    head = "schema: 1\nbase: yolact_tiny\nchanges: [protonet.k]\nbaseline: k_4\n"
    with pytest.raises(SpecError, match=r"spec\.yaml:5: grid: 1,000,000,000 combinations"):
        load(write(tmp_path, f"{head}grid: {{{factors}}}\n"))


@pytest.mark.parametrize("kind", ["grid", "one_factor"])
def test_a_value_given_twice_is_told_with_its_place(tmp_path: Path, kind: str) -> None:
    head = "schema: 1\nbase: yolact_tiny\nchanges: [protonet.k]\nbaseline: k_4\n"
    with pytest.raises(SpecError, match=rf"spec\.yaml:5: {kind}: two arms would be named 'k_4'"):
        load(write(tmp_path, f"{head}{kind}: {{protonet.k: [4, 4]}}\n"))


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("schema: 1", "schema: 2", 2, "schema: 1"),
        ("base: yolact_tiny", "base: yolact_tinny", 3, "did you mean 'yolact_tiny'"),
        ("baseline: k_16", "baseline: k_61", 4, "did you mean 'k_16'"),
        ("changes:", "change:", 5, "did you mean 'changes'"),
        ("protonet.k: 4", "protonett.k: 4", 8, "did you mean 'protonet'"),
        ("protonet.k: 4", "image_size: 320", 8, "image_size, which is not among changes"),
        ("  k_4:", "  k_16:", 8, "given twice (first on line 7); remove one"),
        ("{nms: sequential}", "{nms: [1]}", 9, "expected a name or a mapping"),
        ("arms:", "seeds: [0, 0]\narms:", 6, "a seed is given twice: [0, 0]; remove one"),
        ("arms:", "measure: [acuracy]\narms:", 6, "did you mean 'accuracy'"),
        ("arms:", "paper: p\npaper_rows: {k_44: a}\narms:", 7, "did you mean 'k_4'"),
        ("arms:", "paper_rows: {k_4: a}\narms:", 6, "write paper: and the group"),
        ("arms:", "arms: [", None, "not valid YAML"),
    ],
)
def test_a_mistake_is_reported_with_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load(write(tmp_path, SPEC.replace(old, new, 1)))
    assert message in str(caught.value)
    assert f"spec.yaml:{line or ''}" in str(caught.value)


def test_a_missing_file_has_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path, SPEC)
    with pytest.raises(SpecError, match=r"no such file \(did you mean 'spec\.yaml'\?\); available"):
        load(tmp_path / "spek.yaml")


def test_numbers_with_an_exponent_are_numbers(tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-3 as a word; a learning rate would then be a string."""
    text = SPEC.replace("arms:", "set: {schedule.lr: 1e-3}\narms:", 1)
    assert load(write(tmp_path, text)).arms[0].run.schedule["lr"] == 1e-3


def test_an_omitted_default_and_a_written_one_have_the_same_digest() -> None:
    base = preset("yolact_tiny")
    assert digests(base) == digests(base.changed({"nms": {"name": "fast", "max_iou": 0.5}}))


def test_detection_changes_leave_the_training_digest_alone_and_others_do_not() -> None:
    base = digests(preset("yolact_tiny"))
    nms = digests(preset("yolact_tiny").changed({"nms": "sequential"}))
    assert (nms[0] == base[0], nms[1] == base[1], nms[2] == base[2]) == (True, True, False)
    runtime = digests(preset("yolact_tiny").changed({"runtime.precision": "bf16"}))
    assert (runtime[0] == base[0], runtime[1] == base[1]) == (True, False)
    k = digests(preset("yolact_tiny").changed({"protonet.k": 4}))
    assert k[0] != base[0]
    assert digests(preset("yolact_tiny").changed({"seed": 1}))[0] != base[0]


def test_the_place_of_a_dataset_or_weight_file_does_not_enter_a_digest(tmp_path: Path) -> None:
    found = []
    for folder in ("a", "b"):
        file = tmp_path / folder / "weights.pth"
        file.parent.mkdir()
        file.write_bytes(b"the same bytes")
        run = preset("yolact_tiny").changed(
            {
                "init": {"name": "checkpoint", "file": str(file)},
                "dataset": {"name": "coco_format", "file": str(tmp_path / folder / "d.yaml")},
            }
        )
        found.append(digests(run))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_run_survives_being_written_and_read(name: str) -> None:
    run = resolve_architecture(preset(name))
    assert resolve_architecture(Run.from_dict(run.as_dict())) == run


def test_rescoring_without_a_network_for_it_is_refused() -> None:
    with pytest.raises(SpecError, match=r"rescore_net: \{name: mask_iou\}"):
        resolve_architecture(preset("yolact_r50").changed({"rescore": "mask_iou"}))


@pytest.mark.parametrize(
    ("slot", "name"), [("rescore", "mask_iou"), ("mask_iou_loss", "smooth_l1")]
)
def test_a_missing_network_may_be_another_packages(
    slot: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is suggested are all components that fit, by their facts."""
    monkeypatch.setitem(components("rescore_net"), "ours", lambda *sizes: nn.Identity())  # type: ignore[arg-type]
    monkeypatch.setitem(components(slot), "theirs", lambda: None)  # type: ignore[arg-type]
    nets = "{name: mask_iou} or {name: mask_scoring} or {name: ours}"
    message = (
        f"rescore_net is none; write rescore_net: {nets}, or {slot}: {{name: none}} or {{name: th"
    )
    with pytest.raises(SpecError, match=re.escape(message)):
        resolve_architecture(preset("yolact_r50").changed({slot: name}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protonet.k": "8"}, "protonet.fcn.k: expected a whole number from 1 to 16,384, got '8'"),
        ({"protonet.kk": 8}, "did you mean 'k'"),
        ({"precision": "fp8"}, "bf16, fp16, fp32"),
        ({"anchors.scales": [8, 16]}, "expected a list of 5 numbers from 1e-09 to 1,000,000, got"),
        ({"image_size": "big"}, "expected a whole number from 65 to 8,192, got 'big'"),
        ({"seed.k": 1}, "it has no option 'k'; write seed alone"),
        (
            {"dcn": {"name": "every_nth", "n": 0}},
            "expected a whole number from 1 to 1,000,000,000, got 0",
        ),
    ],
)
def test_a_wrong_option_is_refused_in_words(changes: dict[str, object], message: str) -> None:
    from yolact_bench.build import build_network

    with pytest.raises(SpecError, match=message.replace(".", r"\.")):
        build_network(resolve_architecture(preset("yolact_tiny").changed(changes)), initial=False)


@pytest.mark.parametrize(
    ("key", "value", "form"),
    [
        ("image_size", "'160'", "a whole number from 65 to 8,192, got '160'"),
        ("image_size", "160.0", "a whole number from 65 to 8,192, got 160.0"),
        ("seed", "x", "a whole number from 0 to 4,294,967,295, got 'x'"),
        ("seed", "true", "a whole number from 0 to 4,294,967,295, got True"),
        ("precision", "16", "a text, got 16"),
        ("classes", "null", "a list of texts, got None"),
        ("classes", "disc", "a list of texts, got 'disc'"),
        ("classes", "[1]", "a list of texts, got [1]"),
        ("nms", "null", "a name or a mapping with a name, got None"),
        ("nms", "{max_iou: 0.5}", "a name or a mapping with a name, got {'max_iou': 0.5}"),
        ("dataset", "[coco]", "a name or a mapping with a name, got ['coco']"),
    ],
)
def test_a_setting_of_a_wrong_type_is_told_with_file_key_and_form(
    tmp_path: Path, key: str, value: str, form: str
) -> None:
    data = preset("yolact_tiny").as_dict()
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({**data, key: yaml.safe_load(value)}))
    with pytest.raises(SpecError, match=re.escape(f"run.yaml: run: {key}: expected {form}")):
        read_run(str(path), relative_to=tmp_path)
    if key != "dataset":  # which names a file or a set of its own table there
        spec = write(tmp_path, f"{SPEC}set:\n  {key}: {value}\n")
        with pytest.raises(SpecError, match=re.escape(f"set.{key}: expected {form}")):
            load(spec)


def test_a_name_alone_is_enough_in_a_run_file_too() -> None:
    data = {**preset("yolact_tiny").as_dict(), "nms": "soft"}
    assert Run.from_dict(data).nms == {"name": "soft"}
