"""Places and words that mean harm: one message, and nothing is written."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.cli.main import main


def called(words: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sys, "argv", ["yolact-bench", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


PLACES: dict[str, Callable[[Path], object]] = {
    "file": lambda place: place.write_text("a"),
    "pipe": os.mkfifo,
    "loop": lambda place: place.symlink_to(place),
    "nothing": lambda place: place.symlink_to(place.parent / "nowhere"),
}


@pytest.mark.parametrize("place", [*PLACES, "file/below/it", "x" * 5000])
@pytest.mark.parametrize("words", [["list", "runs"], ["gc"], ["export-results"], ["doctor"]])
def test_work_directories_that_are_no_folders(
    words: list[str],
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make = PLACES.get(place.partition("/")[0])
    if make is not None:
        make(tmp_path / place.partition("/")[0])
    before = sorted(tmp_path.iterdir())
    assert called([*words, "--work-dir", place], monkeypatch) == 2
    assert "cannot be a folder (" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_words_of_the_user_are_escaped_in_messages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(["gc", "a\u202eb"], monkeypatch) == 2
    error = capsys.readouterr().err
    assert "\\u202e" in error
    assert "\u202e" not in error


def test_a_name_with_line_feeds_is_one_line_of_gc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a\nb").mkdir()
    assert called(["gc", "--work-dir", str(tmp_path)], monkeypatch) is None
    assert "a b: unknown to gc" in capsys.readouterr().out


def test_the_present_folder_is_no_file_of_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert called(["import-weights", "."], monkeypatch) == 2
    assert "no file at ." in capsys.readouterr().err
