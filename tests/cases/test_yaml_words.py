"""Numbers as people write them, and names that another reader of YAML takes for something else."""

import math
from pathlib import Path

import pytest
import yaml

from runners.units.settings import parse_settings
from runners.units.unit import run_yaml
from yolact_bench.dataset_spec.file import read_dataset_file
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.ablation import load
from yolact_bench.spec.base_run import apply_settings, read_run
from yolact_bench.spec.presets import preset
from yolact_bench.spec.sweep.space import ValueList
from yolact_bench.spec.sweep.sweep import load_sweep
from yolact_bench.yaml_text import dump_yaml, parse_yaml

NUMBERS = {
    **{"1e-3": 0.001, "1E-3": 0.001, "+1e-3": 0.001, "-1e3": -1000.0, "1e5": 100_000.0},
    **{".5": 0.5, "-.5": -0.5, "5.": 5.0, "1_000": 1000, "1_000.5": 1000.5, "0.10": 0.1},
    **{"0o17": 15, "0x1F": 31, "0": 0, "-0": 0, "+5": 5, ".inf": math.inf, "-.INF": -math.inf},
}
OTHERS = {"true": True, "False": False, "NULL": None, "~": None, "": None}
# Texts, though YAML 1.1 has truths, octal and binary numbers, minutes and dates of them.
WORDS = (
    *("yes", "no", "on", "off", "y", "N", "Yes", "NO", "017", "00", "0b11", "1:30", "1__0", "1_"),
    *("2024-01-01", "2024-01-01T12:00:00Z", "=", "1e", "e5", "1.2.3", "nan", "inf", "none", "-"),
)
NAMES = [*WORDS[:-1], "null", "1e5", "1.10", "0x1F", "true", "123"]
ABLATION = """\
# Why?
schema: 1
base: yolact_tiny
dataset: shapes
baseline: {baseline}
changes: [protonet.k]
arms:
  {name}: {{}}
  other: {{protonet.k: 4}}
"""


@pytest.mark.parametrize(("text", "value"), [*NUMBERS.items(), *OTHERS.items()])
def test_a_number_is_read_however_it_is_written(text: str, value: object) -> None:
    """In a file, in a list and on the command line; 1 is not True, nor 1.0."""
    (found,) = parse_settings([f"schedule.lr={text}"]).values()
    in_file, _ = parse_yaml(f"a: {text}\nb: [{text or 'null'}]", where="f")
    assert in_file == {"a": value, "b": [value]}
    assert (type(found), found) == (type(value), value)
    assert math.isnan(parse_settings(["a=.nan"])["a"])  # type: ignore[arg-type]


@pytest.mark.parametrize("word", WORDS[:-1])
def test_what_other_readers_take_for_something_else_is_a_text(word: str) -> None:
    assert parse_yaml(f"{word}: {word}", where="f")[0] == {word: word}


@pytest.mark.parametrize("name", NAMES)
def test_an_arm_keeps_the_name_that_is_written(name: str, tmp_path: Path) -> None:
    """Keys are texts. A baseline that reads as another value has to be quoted."""
    path = tmp_path / "spec.yaml"
    path.write_text(ABLATION.format(name=name, baseline=f'"{name}"'))
    assert [arm.name for arm in load(path).arms] == [name, "other"]
    path.write_text(ABLATION.format(name=name, baseline=name))
    if name in WORDS or name == "123":
        assert load(path).baseline == name
        return
    with pytest.raises(SpecError, match=r"spec\.yaml:5: baseline: "):
        load(path)


def dataset(folder: Path, classes: str) -> tuple[str, ...]:
    path = folder / "dataset.yaml"
    split = "{images: i, annotations: a.json}"
    path.write_text(f"train: {split}\nval: {split}\nclasses: {classes}\n")
    return read_dataset_file(path)[2]


def test_classes_keep_their_names(tmp_path: Path) -> None:
    """Norway is a class, and so is a day."""
    assert dataset(tmp_path, "[no, yes, on, 2024-01-01, 1:30, 007]") == (
        *("no", "yes", "on", "2024-01-01", "1:30", "007"),
    )


@pytest.mark.parametrize("name", ["1", "1e5", "1.10", "true"])
def test_a_class_that_reads_as_a_number_has_to_be_quoted(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"yaml:3: classes: .* list of words.*; write it in quotes"):
        dataset(tmp_path, f"[a, {name}]")
    assert dataset(tmp_path, f"[a, '{name}']") == ("a", name)


@pytest.mark.parametrize("value", ["1.5", "true", "1e5"])
def test_a_name_that_reads_as_a_number_has_to_be_quoted(value: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(ABLATION.format(name="a", baseline="a") + f"name: {value}\n")
    with pytest.raises(SpecError, match=r"yaml:10: name: expected a name, .*; write it in quotes"):
        load(path)
    path.write_text(ABLATION.format(name="a", baseline="a") + f"name: '{value}'\n")
    assert load(path).name == value


def test_a_switch_is_true_or_false_and_not_yes_or_no() -> None:
    run = apply_settings(preset("yolact_tiny"), parse_settings(["assembly.crop=no"]))
    with pytest.raises(SpecError, match=r"crop: expected true or false, got 'no'"):
        resolve_architecture(run, files=False)


def test_a_sweep_reads_its_values_by_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "# Which?\nschema: 1\nbase: yolact_tiny\nspace: {schedule.lr: [1e-3, +2E-3, .5]}\n"
    )
    assert load_sweep(path).space["schedule.lr"] == ValueList(values=(0.001, 0.002, 0.5))


@pytest.mark.parametrize("text", [*NUMBERS, *OTHERS, *WORDS, "<<", "a: b", "#", "5.\n", "Zoë"])
def test_a_text_that_is_written_is_read_back_by_any_reader(text: str) -> None:
    data = {text: [text, 1e-05, 1e16, True, None, 7]}
    assert parse_yaml(dump_yaml(data), where="f")[0] == data
    assert yaml.safe_load(dump_yaml(data)) == data
    assert parse_yaml(dump_yaml(data, one_line=True), where="f")[0] == data


def test_a_run_with_such_classes_is_read_back(tmp_path: Path) -> None:
    run = preset("yolact_tiny").changed({"classes": ["no", "1e5", "0o17", "-.5", "null"]})
    (tmp_path / "run.yaml").write_text(run_yaml(run))
    assert read_run("run.yaml", relative_to=tmp_path) == run
