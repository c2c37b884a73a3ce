"""What is done to the annotations of the base set, and what is read of them then."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cases.base_set import base_content, write_base
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset

Content = dict[str, Any]
Change = Callable[[Content], None]


def opened(folder: Path, content: Content, split: str = "val") -> Dataset:
    """The split of the base set that has this content; the other one is clean."""
    path = write_base(folder, **{split: content})  # type: ignore[arg-type]
    spec = resolve_dataset(dataset_choice(str(path), relative_to=folder), data_root=None)
    return open_dataset(spec, split)


def truth(dataset: Dataset) -> list[dict[str, Any]]:
    """The annotations that scoring gets."""
    annotations = dataset.ground_truth()["annotations"]
    assert isinstance(annotations, list)
    return annotations


def first(**changes: object) -> Change:
    """Change fields of the first annotation; ... removes one."""

    def change(content: Content) -> None:
        for key, value in changes.items():
            if value is ...:
                del content["annotations"][0][key]
            else:
                content["annotations"][0][key] = value

    return change


def every(part: str, **makers: Callable[[Content], object]) -> Change:
    """Change fields of all entries of a list, by functions of the entry."""

    def change(content: Content) -> None:
        for one in content[part]:
            one |= {key: make(one) for key, make in makers.items()}

    return change


def changed(*changes: Change) -> Content:
    content = copy.deepcopy(base_content())
    for change in changes:
        change(content)
    return content
