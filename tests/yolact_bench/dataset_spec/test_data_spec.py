"""What a spec's word for a data set means, and the identity of a split."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.data_fixtures import tiny_spec, write_set
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.errors import SpecError
from yolact_bench.published_datasets import COCO_CLASSES, PASCAL_CLASSES


def test_a_name_a_file_and_a_mapping_are_choices(tmp_path: Path) -> None:
    assert dataset_choice("coco", relative_to=tmp_path) == {"name": "coco"}
    expected = {"name": "coco_format", "file": str(tmp_path / "sub" / "d.yaml")}
    assert dataset_choice("sub/d.yaml", relative_to=tmp_path) == expected
    mapping = {"name": "shapes", "seed": 3}
    assert dataset_choice(mapping, relative_to=tmp_path) == mapping
    relative = {"name": "coco_format", "file": "sub/d.yaml"}
    assert dataset_choice(relative, relative_to=tmp_path) == expected


def test_an_unknown_word_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"'shape' is not a data set \(did you mean 'shapes'\?\)"):
        dataset_choice("shape", relative_to=tmp_path)


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match=r"no option is named 'train_image' .*'train_images'"):
        resolve_dataset({"name": "shapes", "train_image": 5}, data_root=None)


@pytest.mark.parametrize(("name", "classes"), [("coco", COCO_CLASSES), ("sbd", PASCAL_CLASSES)])
def test_the_classes_of_a_named_set_are_known_without_its_files(
    tmp_path: Path, name: str, classes: tuple[str, ...]
) -> None:
    spec = resolve_dataset({"name": name}, data_root=tmp_path)
    assert spec.classes == classes
    with pytest.raises(SpecError, match=r"no annotation file .*train.*--data-root .*YOLACT_DATA"):
        spec.fingerprint("train")


def test_the_root_comes_from_the_environment_unless_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLACT_DATA", str(tmp_path / "env"))
    with pytest.raises(SpecError, match=r"env/annotations/instances_val2017\.json"):
        resolve_dataset({"name": "coco"}, data_root=None).require("val")
    with pytest.raises(SpecError, match=r"given/annotations/instances_val2017\.json"):
        resolve_dataset({"name": "coco"}, data_root=tmp_path / "given").require("val")


def test_a_fingerprint_depends_on_the_annotations_and_not_on_the_place(tmp_path: Path) -> None:
    first = tiny_spec(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    choice = {"name": "coco_format", "file": str(tmp_path / "b" / "dataset.yaml")}
    second = resolve_dataset(choice, data_root=None)
    assert first.fingerprint("train") == second.fingerprint("train")
    assert len(first.fingerprint("train")) == 16
    notes = tmp_path / "b" / "notes.json"
    notes.write_text(notes.read_text().replace("100.0", "101.0"))
    assert first.fingerprint("train") != second.fingerprint("train")


def test_a_fingerprint_depends_on_the_chosen_classes(tmp_path: Path) -> None:
    whole = tiny_spec(tmp_path / "a")
    part = tiny_spec(tmp_path / "b", yaml_tail="classes: [cup]\n")
    assert whole.fingerprint("val") != part.fingerprint("val")


def test_a_validation_draw_of_shapes_changes_the_validation_fingerprint_only() -> None:
    first = resolve_dataset({"name": "shapes"}, data_root=None)
    second = resolve_dataset({"name": "shapes", "val_draw": 1}, data_root=None)
    assert first.fingerprint("train") == second.fingerprint("train")
    assert first.fingerprint("val") != second.fingerprint("val")
    assert first.fingerprint("train") != first.fingerprint("val")


WRONG_YAML = {
    r"dataset\.yaml:1: nam: unknown key \(did you mean 'name'\?\)": "nam: x\n",
    r"dataset\.yaml:2: train\.image: unknown key \(did you mean 'images'\?\)": (
        "name: x\ntrain: {image: a, annotations: b}\n"
    ),
    r"dataset\.yaml:1: train: the key 'annotations' is missing": "train: {images: a}\n",
    r"dataset\.yaml: the key 'val' is missing": "train: {images: a, annotations: b}\n",
    r"dataset\.yaml:3:1: not valid YAML": "name: x\ntrain: {images: a\n",
    r"dataset\.yaml:1: train: expected": "train: images\n",
    r"dataset\.yaml:1: name: expected a text, got 3": "name: 3\n",
    r"dataset\.yaml: expected a mapping \(key: value\), got a list": "- a\n",
}


@pytest.mark.parametrize("message", WRONG_YAML)
def test_a_mistake_in_dataset_yaml_is_refused_with_its_line(tmp_path: Path, message: str) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(WRONG_YAML[message])
    with pytest.raises(SpecError, match=message):
        resolve_dataset({"name": "coco_format", "file": str(path)}, data_root=None)


def test_classes_are_a_list_of_different_names(tmp_path: Path) -> None:
    for number, tail in enumerate(("classes: cup\n", "classes: [cup, cup]\n")):
        with pytest.raises(SpecError, match=r"dataset\.yaml:4: classes: (expected|named twice)"):
            tiny_spec(tmp_path / str(number), yaml_tail=tail)


@pytest.mark.parametrize("gone", ["notes.json", "images"])
def test_missing_files_are_refused_when_the_set_is_resolved(tmp_path: Path, gone: str) -> None:
    path = write_set(tmp_path / "set")
    (tmp_path / "set" / gone).rename(tmp_path / gone)
    with pytest.raises(SpecError, match=rf"no (annotation file|image folder) .*{gone}"):
        resolve_dataset({"name": "coco_format", "file": str(path)}, data_root=None)


def test_a_missing_dataset_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no\.yaml: there is no such file"):
        resolve_dataset({"name": "coco_format", "file": str(tmp_path / "no.yaml")}, data_root=None)


def test_naming_a_data_set_loads_neither_torch_nor_opencv() -> None:
    code = (
        "import sys, yolact_bench.dataset_spec.dataset; "
        "sys.exit(bool({'torch', 'cv2', 'pycocotools'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
