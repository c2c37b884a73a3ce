"""No name leads out of the work directory, or to a file that no system can hold."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from reports.pages.build import report_folder
from reports.sweeps.build import hides_a_sweep, sweep_called
from yolact_bench.dataset_spec.file import read_dataset_file
from yolact_bench.errors import SpecError
from yolact_bench.results.frames import Results
from yolact_bench.spec.ablation import load
from yolact_bench.spec.sweep.sweep import load_sweep
from yolact_bench.work_names import inside, is_name

HOSTILE = (
    *("", " ", ".", "..", ".hidden", "/abs", "../x", "a/b", "a\\b", "a\nb", "a\0b", "\x1b[2J"),
    *("\x7f", "\u2028", "\u202e", "\ufeff", "\t", "\ud800", "x" * 5000, "é" * 101),
)
USUAL = ("k_8.fast", "soft_sigma_0.5", "größe 2", "数据", "a" * 200, "-1", "w. o. dcn", "5 % (b)")
BASE = {"schema": 1, "base": "yolact_tiny"}
ABLATION = {
    **BASE,
    "baseline": "b",
    "changes": ["protonet.k"],
    "arms": {"b": {}, "k": {"protonet.k": 8}},
}
SWEEP = {**BASE, "space": {"protonet.k": [8, 16]}}
FILES = {"images": "images", "annotations": "a.json"}
DATASET = {"train": FILES, "val": FILES}
ROW = {"segm": "segm.json"}
# What is named → its spec, the function that reads it, and the key in the message.
PLACES: dict[str, tuple[Callable[[str], dict[str, object]], Callable[[Path], object], str]] = {
    "ablation": (lambda name: {**ABLATION, "name": name}, load, "name"),
    "arm": (lambda name: {**ABLATION, "arms": {"b": {}, name: {"protonet.k": 8}}}, load, "arms"),
    "external": (lambda name: {**ABLATION, "external": {name: ROW}}, load, "external"),
    "sweep": (lambda name: {**SWEEP, "name": name}, load_sweep, "name"),
    "seed_from": (lambda name: {**SWEEP, "seed_from": [name]}, load_sweep, "seed_from"),
    "dataset": (lambda name: {**DATASET, "name": name}, read_dataset_file, "name"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_name_is_refused_where_it_is_written(place: str, tmp_path: Path) -> None:
    make, read, key = PLACES[place]
    path = tmp_path / "spec.yaml"
    for name in HOSTILE:
        path.write_text(yaml.safe_dump(make(name)))
        with pytest.raises(SpecError) as error:
            read(path)
        text = str(error.value)
        assert re.match(rf"{re.escape(str(path))}:\d+: {key}", text), text
        assert len(text) < 400 + len(str(path)), name
        assert text.isprintable(), name


@pytest.mark.parametrize("place", PLACES)
def test_usual_names_are_taken(place: str, tmp_path: Path) -> None:
    make, read, _ = PLACES[place]
    path = tmp_path / "spec.yaml"
    for name in USUAL:
        if place != "sweep" or len(name) < 200:  # the ablation that confirms a sweep is longer
            path.write_text(yaml.safe_dump(make(name), allow_unicode=True))
            read(path)


def test_the_ablation_that_confirms_a_sweep_may_have_its_name(tmp_path: Path) -> None:
    """200 bytes are left for "-smoke", 6, and "-confirm", 8."""
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({**SWEEP, "name": "x" * 186}))
    assert load_sweep(path, budget="smoke").name == f"{'x' * 186}-smoke"
    path.write_text(yaml.safe_dump({**SWEEP, "name": "x" * 187}))
    with pytest.raises(SpecError, match=r"spec\.yaml:\d+: name: "):
        load_sweep(path, budget="smoke")


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}])
def test_a_name_is_no_list(value: object, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({**ABLATION, "name": value}))
    with pytest.raises(SpecError, match=r"spec\.yaml:\d+: name: expected a name"):
        load(path)


def test_an_arm_of_a_grid_is_named_after_a_path_without_being_one(tmp_path: Path) -> None:
    """Two leading dots would hide its files."""
    path = tmp_path / "spec.yaml"
    factors = {"dataset": ["shapes", "../sets/other.yaml"]}
    ablation = {**BASE, "baseline": "shapes", "changes": ["dataset"], "grid": factors}
    path.write_text(yaml.safe_dump(ablation))
    assert [arm.name for arm in load(path).arms] == ["shapes", "sets-other.yaml"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_path_is_made_of_a_hostile_name(name: str, tmp_path: Path) -> None:
    assert not is_name(name)
    with pytest.raises(SpecError, match="names nothing in it"):
        inside(tmp_path, name)
    with pytest.raises(SpecError, match="no ablation or sweep"):
        report_folder(tmp_path, name)
    assert sweep_called(tmp_path, name) is None
    assert not hides_a_sweep(tmp_path, name)
    with pytest.raises(SpecError, match="names nothing in it"):
        Results(tmp_path, name)


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_name_is_a_folder(name: str, tmp_path: Path) -> None:
    assert inside(tmp_path, name) == tmp_path / name
