"""Data sets written to disk and checked."""

from pathlib import Path

import numpy as np
import pytest

from runners.workdir.dataset_files import count_splits, write_shapes
from tests.support.data_fixtures import square_annotation, tiny_content, tiny_spec
from yolact_bench.data import open_dataset
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.errors import SpecError
from yolact_bench.findings import LEAK, LEFT_OUT, Finding

OPTIONS = {"train_images": 3, "val_images": 2}


def test_written_shapes_read_back_as_they_were_drawn(tmp_path: Path) -> None:
    path = write_shapes(tmp_path / "out", OPTIONS)
    read = resolve_dataset(dataset_choice(str(path), relative_to=tmp_path), data_root=None)
    drawn = resolve_dataset({"name": "shapes", **OPTIONS}, data_root=None)
    assert read.classes == drawn.classes
    for split in ("train", "val"):
        one, other = open_dataset(read, split), open_dataset(drawn, split)
        assert len(one) == len(other) == OPTIONS[f"{split}_images"]
        for index in range(len(one)):
            assert np.array_equal(one.image(index), other.image(index))
            mine, theirs = one.objects(index), other.objects(index)
            assert np.array_equal(mine.boxes_px, theirs.boxes_px)
            assert mine.labels.tolist() == theirs.labels.tolist()
            assert np.array_equal(np.stack(mine.segments), np.stack(theirs.segments))


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(SpecError, match="not an empty folder"):
        write_shapes(tmp_path, OPTIONS)
    assert [item.name for item in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interrupted_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise OSError("disk full")

    monkeypatch.setattr("runners.workdir.dataset_files.cv2.imwrite", full)
    with pytest.raises(OSError, match="disk full"):
        write_shapes(tmp_path / "out", OPTIONS)
    assert not list(tmp_path.iterdir())


def test_a_check_counts_what_is_there_and_lists_what_cannot_be_used(tmp_path: Path) -> None:
    """Two objects on the first image; one degenerate annotation and a crowd on the second."""
    content = tiny_content()
    content["annotations"] += [
        square_annotation(8, 10, segmentation=[[1, 1, 5, 5, 9, 9]]),
        square_annotation(9, 10, iscrowd=1),
    ]
    count, val = count_splits(tiny_spec(tmp_path / "set", content))
    unusable = Finding(kind=LEFT_OUT, where="image 10: annotation 8", text="zero area")
    assert count.findings == (unusable,)
    # The same file describes both splits.
    assert [one.kind for one in val.findings] == [LEFT_OUT, LEAK, LEAK]
    assert (count.images, count.objects, count.crowds, count.images_without_objects) == (2, 2, 1, 0)
    assert count.objects_by_class == {"cat": 1, "cup": 1}
