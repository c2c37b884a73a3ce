"""File names as tools write them."""

import unicodedata
from pathlib import Path

import pytest

from yolact_bench.errors import MOST_MISTAKES
from yolact_bench.image_files.names import Names, find_names


def find(folder: Path, names: list[str], *files: str) -> Names:
    images = folder / "images"
    for file in files:
        path = images / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return find_names(images, names)


NFD = unicodedata.normalize("NFD", "é.png")
ALIASES = {
    "images\\1.png": "1.png",
    "C:\\data\\images\\1.png": "1.png",
    "/data/upload/1/1.png": "1.png",
    "/1.png": "1.png",
    "file:///home/a/1.png": "1.png",
    "https://host:8080/data/1.png": "1.png",
    "/data/local-files/?d=images/1.png": "1.png",
    "1.PNG": "1.png",
    "1": "1.png",
    "a%20b.png": "a b.png",
    "a b.png": "a%20b.png",
    "é.png": NFD,
    NFD: "é.png",
    "É.PNG": "é.png",
    "photo.jpeg": "photo.JPG",
    "v1.5": "v1.5.jpg",
    "deep/1.png": "train/deep/1.png",
    "2.png": "deep/below/2.png",
    " 1.png ": "1.png",
    "images/0ab12cd3-1.png": "1.png",
}


@pytest.mark.parametrize("name", ALIASES)
def test_a_name_means_the_only_file_it_can(tmp_path: Path, name: str) -> None:
    names = find(tmp_path, [name, "other.png"], ALIASES[name], "other.png")
    assert names.files == (ALIASES[name], "other.png")
    assert names.changes == {name: ALIASES[name]}
    assert not names.faults


def test_the_exact_name_comes_first(tmp_path: Path) -> None:
    """Even one that looks like an alias of another file; a name outside works where it exists."""
    (tmp_path / "beside.png").write_bytes(b"x")
    exact = [
        "./1.png",
        "a%20b.png",
        "1.PNG",
        "é.png",
        "../beside.png",
        str(tmp_path / "beside.png"),
        "x/1",
    ]
    names = find(tmp_path, exact, "a%20b.png", "a b.png", "1.PNG", "1.png", "é.png", "x/1")
    assert names == Names(files=tuple(exact), changes={}, faults={})


def test_the_longest_end_of_a_path_decides(tmp_path: Path) -> None:
    names = find(tmp_path, ["/data/b/1.png"], "a/1.png", "b/1.png", "1.png")
    assert names.files == ("b/1.png",)


def test_several_files_are_a_fault_that_lists_them(tmp_path: Path) -> None:
    names = find(tmp_path, ["/data/c/1.png"], "a/1.png", "b/1.png")
    assert names.files == ("",)
    (fault,) = names.faults.values()
    assert sorted(fault.removeprefix("does not exist, and may be ").split(", ")) == [
        "a/1.png",
        "b/1.png",
    ]


@pytest.mark.parametrize("other", ["1.png", "y/1.png"])
def test_no_two_names_mean_one_file(tmp_path: Path, other: str) -> None:
    """An exact name keeps its file."""
    names = find(tmp_path, ["x/1.png", other], "1.png")
    assert names.files == ("", "1.png" if other == "1.png" else "")
    assert "1.png is the file of another name too" in names.faults["x/1.png"]


def test_a_name_never_means_a_file_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    names = find(tmp_path, ["x/../../secret.png", "..\\secret.png"], "1.png")
    assert names.files == ("", "")


def test_an_ending_is_added_but_none_is_changed(tmp_path: Path) -> None:
    """A folder may hold 1.jpg and its mask 1.png: 1.jpg must not become the mask."""
    assert find(tmp_path, ["1.jpg"], "1.png", "1.txt").files == ("",)


def test_a_missing_name_comes_with_the_nearest(tmp_path: Path) -> None:
    names = find(tmp_path, ["imge_0001.png"], "image_0001.png", "unlike.png")
    assert names.faults == {"imge_0001.png": "does not exist (nearest: image_0001.png)"}


def test_names_that_are_none_mean_nothing(tmp_path: Path) -> None:
    for name in ("", "nu\0l", "/", "..", "long" * 999):
        assert find(tmp_path, [name], "1.png").files == ("",)


def test_the_nearest_are_looked_for_so_often_as_a_message_has_room(tmp_path: Path) -> None:
    names = find(tmp_path, [f"image_{n}.png" for n in range(100)], "image.png")
    assert len(names.faults) == 100
    assert sum("nearest" in fault for fault in names.faults.values()) == MOST_MISTAKES
