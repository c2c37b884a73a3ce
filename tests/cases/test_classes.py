"""Categories as tools write them: by name in every split, without those that are no class."""

from pathlib import Path
from typing import Any

import pytest

from tests.cases.annotation_changes import Content, opened, truth
from tests.cases.base_set import base_content, write_base
from yolact_bench import findings as kinds
from yolact_bench.data import open_dataset
from yolact_bench.dataset_spec.dataset import DatasetSpec, dataset_choice, resolve_dataset
from yolact_bench.errors import SpecError
from yolact_bench.findings import count_kinds


def with_categories(*categories: dict[str, Any], **ids: int) -> Content:
    """The base content with other categories; `ids` are those of a and b."""
    content = base_content()
    by_label = {1: ids.get("a", 1), 2: ids.get("b", 2)}
    for one in content["annotations"]:
        one["category_id"] = by_label[one["category_id"]]
    return content | {"categories": list(categories)}


def category(number: int, name: str, group: str = "") -> dict[str, Any]:
    return {"id": number, "name": name, "supercategory": group}


def spec_of(folder: Path, train: Content, val: Content | None = None) -> DatasetSpec:
    path = write_base(folder, train=train, val=val)
    return resolve_dataset(dataset_choice(str(path), relative_to=folder), data_root=None)


A, B = category(1, "a"), category(2, "b")
PHANTOMS = {
    "supercategory of all": [
        category(0, "things"), category(1, "a", "things"), category(2, "b", "things"),
    ],
    "one of the names": [category(0, "a"), A, B],
    "background": [category(0, "_background_"), A, B],
    "number 0": [category(0, "objects", "none"), A, B],
    "last": [A | {"supercategory": "all"}, B | {"supercategory": "all"}, category(3, "all")],
}  # fmt: skip


@pytest.mark.parametrize("name", PHANTOMS)
def test_a_category_that_is_no_class_is_left_out(tmp_path: Path, name: str) -> None:
    spec = spec_of(tmp_path, with_categories(*PHANTOMS[name]))
    assert spec.classes == ("a", "b")
    dataset = open_dataset(spec, "train")
    assert dataset.category_ids == (1, 2)
    is_named_twice = name == "one of the names"
    kind = kinds.SAME_NAME if is_named_twice else kinds.EXTRA_CATEGORY
    assert count_kinds(dataset.findings) == {kind: 1}
    assert len(truth(dataset)) == 12


def test_a_class_without_objects_beside_others_stays_a_class_and_is_listed(tmp_path: Path) -> None:
    content = with_categories(A, B, category(3, "c", "a"), category(4, "d"))
    for one in content["annotations"]:
        one["iscrowd"] = int(one["category_id"] == 2)
    spec = spec_of(tmp_path, content)
    assert spec.classes == ("a", "b", "c", "d")
    dataset = open_dataset(spec, "train")
    empty = [(one.kind, one.where) for one in dataset.findings]
    assert empty == [(kinds.EMPTY_CLASS, f"class {name}") for name in "bcd"]


def test_blanks_around_a_name_are_no_part_of_it(tmp_path: Path) -> None:
    train = with_categories(category(1, "car "), category(2, "\tbus\n"), category(3, "car"))
    spec = spec_of(tmp_path, train, with_categories(category(2, "bus"), category(1, "car")))
    assert spec.classes == ("car", "bus")
    dataset = open_dataset(spec, "train")
    assert count_kinds(dataset.findings) == {kinds.TRIMMED_NAME: 2, kinds.SAME_NAME: 1}
    assert dataset.objects(0).labels.tolist() == [0, 1]
    assert not open_dataset(spec, "val").findings


def test_names_of_other_letters_alone_are_listed(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, with_categories(category(1, "Car"), category(2, "car")))
    assert spec.classes == ("Car", "car")
    alike = [(one.kind, one.where, one.text) for one in open_dataset(spec, "train").findings]
    assert alike == [
        (kinds.NAMES_ALIKE, "category 1", "'Car'"),
        (kinds.NAMES_ALIKE, "category 2", "'car'"),
    ]


@pytest.mark.parametrize("name", ["", "  "])
def test_a_class_without_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match=r"categories\[0\]: name: expected a text"):
        spec_of(tmp_path, with_categories(category(1, name), B))


def test_two_ids_of_one_name_are_one_class(tmp_path: Path) -> None:
    """Objects of 2 have label and category id of 1."""
    spec = spec_of(tmp_path, with_categories(A, category(2, "a")), base_content(("a",)))
    assert spec.classes == ("a",)
    dataset = open_dataset(spec, "train")
    assert count_kinds(dataset.findings) == {kinds.SAME_NAME: 1}
    assert {one["category_id"] for one in truth(dataset)} == {1}
    assert len(truth(dataset)) == 12


def test_two_meanings_of_one_name_have_a_way_out(tmp_path: Path) -> None:
    content = with_categories(category(1, "bat", "animal"), category(2, "bat", "sports"))
    with pytest.raises(
        SpecError, match=r"2 are named 'bat' \(1 in 'animal', 2 in 'sports'\).*give"
    ):
        spec_of(tmp_path, content)


def test_splits_may_number_the_same_classes_otherwise(tmp_path: Path) -> None:
    """Train lists a, b, c; val b as 5 and a as 8, in another order, and more objects."""
    train = with_categories(A, B, category(3, "c"))
    val = with_categories(category(5, "b"), category(8, "a"), a=8, b=5)
    spec = spec_of(tmp_path, train, val)
    assert spec.classes == ("a", "b", "c")
    dataset = open_dataset(spec, "val")
    assert dataset.category_ids == (8, 5, 9)  # 9 is free
    assert dataset.objects(0).labels.tolist() == [0, 1]
    assert [one["category_id"] for one in truth(dataset)[:2]] == [8, 5]
    assert count_kinds(dataset.findings) == {kinds.ABSENT_CLASS: 1}


def test_a_class_of_val_that_was_not_learnt_is_refused_with_both_lists(tmp_path: Path) -> None:
    val = with_categories(A, category(2, "B"))
    spec = spec_of(tmp_path, base_content(), val)
    message = "categories beside those of the data set: B, where the classes are a, b; name the"
    with pytest.raises(SpecError, match=message):
        open_dataset(spec, "val")


def test_a_class_of_the_spec_must_be_in_the_training_split(tmp_path: Path) -> None:
    path = write_base(tmp_path)
    path.write_text(path.read_text() + "classes: [a, bb]\n")
    spec = resolve_dataset(dataset_choice(str(path), relative_to=tmp_path), data_root=None)
    with pytest.raises(SpecError, match=r"no category is named 'bb' \(did you mean 'b'\?\)"):
        open_dataset(spec, "train")


def test_joined_ids_are_known_to_the_whole_file(tmp_path: Path) -> None:
    content = with_categories(category(0, "a"), A, B)
    assert len(truth(opened(tmp_path, content))) == 12
