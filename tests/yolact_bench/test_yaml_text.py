"""YAML and other files that would hang a machine or fill its memory are refused by their place."""

import os
from pathlib import Path

import pytest

from runners.units.settings import parse_settings
from yolact_bench.errors import SpecError
from yolact_bench.json_file import read_json
from yolact_bench.yaml_source import read
from yolact_bench.yaml_text import parse_yaml

LEVELS = range(1, 12)  # 10^12 values if all aliases were written out
ITEMS = {
    "list": ("&a0 [x]", "[{}]"),
    "mapping": ("&a0 {x: 1}", "{{k: [{}]}}"),
    "merge": ("&a0 {x: 1}", "{{<<: [{}]}}"),
}
MANY = "more than 50,000 values"
DEEP = "more than 50 levels"


@pytest.mark.parametrize(("first", "form"), ITEMS.values(), ids=ITEMS)
def test_an_alias_bomb_is_refused_before_it_is_expanded(first: str, form: str) -> None:
    """Ten of the fourth level have over 10^4 values, ten of those 10^5: line 6."""
    levels = (f"a{n}: &a{n} {form.format(', '.join([f'*a{n - 1}'] * 10))}" for n in LEVELS)
    text = "\n".join([f"a0: {first}", *levels])
    with pytest.raises(SpecError, match=rf"^f\.yaml:[56]:\d+: not valid YAML: {MANY}"):
        parse_yaml(text, where="f.yaml")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: " + "[" * 5000, "1:53", DEEP),
        ("\n".join(" " * n + "a:" for n in range(100)), "50:50", DEEP),
        ("a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 99)), "", DEEP),
        ("a: [" + "1," * 60_000 + "]", "", MANY),
        ("a: &a [*a]", "1:8", "an alias within what it stands for"),
        ("a: &a {<<: *a}", "1:12", "an alias within what it stands for"),
        ("a: " + "9" * 5000, "1:4", "a number of 5,000 characters"),
        ("a: 0x" + "f" * 5000, "1:4", "a number of 5,002 characters"),
        ("a: 1." + "9" * 5000, "1:4", "a number of 5,002 characters"),
        ("a: !!timestamp 2026-13-45", "1:4", "not a value of type timestamp"),
        ("a: !!bool maybe", "1:4", "not a value of type bool"),
        ("a: !!int ''", "1:4", "not a value of type int"),
        ("? [a]\n: 1", "1:3", "found unhashable key"),
        ("a: !!python/object/apply:os.system [ls]", "1:4", "could not determine a constructor"),
        ("a: \0", "", "unacceptable character #x0000"),
    ],
)
def test_yaml_that_cannot_be_used_is_refused_in_one_line(
    text: str, place: str, message: str
) -> None:
    with pytest.raises(
        SpecError, match=rf"^f\.yaml:?{place}.*: not valid YAML: {message}"
    ) as error:
        parse_yaml(text, where="f.yaml")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_aliases_and_merges_of_usual_size_are_read() -> None:
    data, lines = parse_yaml("a: &a {x: 1e-3}\nb: {<<: *a, y: *a}\n" + "c: [1]\n", where="f")
    assert data == {"a": {"x": 1e-3}, "b": {"x": 1e-3, "y": {"x": 1e-3}}, "c": [1]}
    assert lines["b", "y", "x"] == 1  # where the alias points to
    assert lines["c",] == 3


def test_fifty_levels_are_read() -> None:
    """The outer mapping is the first level, and the innermost value the last."""
    data, _ = parse_yaml("a: " + "[" * 48 + "x" + "]" * 48, where="f")
    assert str(data).count("[") == 48


def test_a_setting_is_yaml_as_in_a_file() -> None:
    assert parse_settings(["schedule.lr=1e-3"]) == {"schedule.lr": 1e-3}
    for text in ("{a: 1, a: 2}", "!!int x", "[" * 5000, "9" * 5000):
        with pytest.raises(SpecError, match=r"^--set nms:1:"):
            parse_settings([f"nms={text}"])


@pytest.mark.parametrize("reader", [read, read_json])
def test_what_is_no_file_is_refused_instead_of_waited_for(reader: object, tmp_path: Path) -> None:
    assert callable(reader)
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    for path, message in ((pipe, "a pipe or device"), (Path("/dev/zero"), "a pipe or device")):
        with pytest.raises(SpecError, match=rf"^{path}: cannot be read \({message}.*\); "):
            reader(path)
    with pytest.raises(SpecError, match=r"cannot be read \(a folder\); "):
        reader(tmp_path)


def test_a_file_of_2_mb_is_no_spec(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 21)
    with pytest.raises(SpecError, match=r"2,097,152 bytes, where at most 1,048,576 are read"):
        read(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Editors of Windows write it, and the question of a spec stands behind it."""
    path = tmp_path / "spec.yaml"
    path.write_text("# Why?\nschema: 1\n", encoding="utf-8-sig")
    assert read(path).question == "Why?"
    path.write_text("# Why?\nschema: 1\n", encoding="utf-16")
    with pytest.raises(SpecError, match=r"spec\.yaml: cannot be read .*UTF-8"):
        read(path)
