"""A file that the system refuses is one message and exit code 2; mistakes of ours are not hidden.

Tests may run as root, whom no permission stops: the errors are raised in place of the call.
"""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.system.exit_codes import USAGE, exit_code_of
from runners.workdir.lock import hold_lock
from tests.runners.cli.test_cli import exit_code
from tests.support import fake_work
from yolact_bench.errors import SpecError
from yolact_bench.results.files import write_atomically
from yolact_bench.results.store import Store


def fault(number: int, file: object = None) -> OSError:
    return OSError(number, os.strerror(number), *([str(file)] if file else []))


def refuse(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, number: int, files: str
) -> None:
    """Let a method of paths fail for files whose path matches."""
    plain: Callable[..., object] = getattr(owner, name)

    def call(self: Path, *words: object, **options: object) -> object:
        if re.search(files, str(self)):
            raise fault(number, self)
        return plain(self, *words, **options)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENAMETOOLONG, errno.ENOENT])
def test_a_refused_file_is_one_line_with_its_name_and_the_reason(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(fault(number, "work/a.json")) == USAGE
    text = capsys.readouterr().err
    assert text.startswith(f"error: work/a.json: cannot be read or written ({os.strerror(number)})")
    assert text.count("\n") == 1


def test_a_full_disk_or_a_broken_one_needs_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    for number in (errno.ENOSPC, errno.EIO):
        assert exit_code_of(fault(number)) == USAGE
        assert os.strerror(number) in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [fault(errno.EBADF), fault(errno.ECONNRESET), OSError("words"), KeyError("key")],
    ids=str,
)
def test_a_mistake_of_ours_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        exit_code_of(error)


@pytest.mark.parametrize(
    ("owner", "name", "number", "files", "shown"),
    [
        (Path, "write_bytes", errno.EROFS, r"reports/quick/", "reports/quick/report.md: cannot"),
        (Path, "write_bytes", errno.EACCES, r"reports/quick/", "reports/quick/report.md: cannot"),
        (os, "open", errno.EACCES, r"results\.jsonl", "results.jsonl: cannot"),
        (Path, "read_bytes", errno.EACCES, r"manifest\.json", "manifest.json"),
    ],
)
def test_a_report_whose_files_are_refused_says_which(
    owner: object,
    name: str,
    number: int,
    files: str,
    shown: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = fake_work.write_work(tmp_path / "work")
    refuse(monkeypatch, owner, name, number, files)
    code = exit_code("report", fake_work.NAME, "--work-dir", str(work), monkeypatch=monkeypatch)
    text = capsys.readouterr().err
    assert code == USAGE
    assert shown in text
    assert os.strerror(number) in text
    assert ".tmp" not in text
    assert len(re.findall("^error:", text, re.MULTILINE)) == 1


def test_an_overlong_path_is_a_users_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        (["report", "a" * 5000], "no ablation or sweep named"),  # no such name can exist
        (["report", "x", "--work-dir", "b" * 5000], "File name too long"),
    ):
        assert exit_code(*words, monkeypatch=monkeypatch) == USAGE
        text = capsys.readouterr().err
        assert message in text
        assert len(text) < 1000


def test_a_full_disk_at_the_lock_names_the_work_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise fault(errno.ENOSPC)

    monkeypatch.setattr(os, "pwrite", full)
    with (
        pytest.raises(SpecError, match=r"cannot be written \(No space"),
        hold_lock(tmp_path, command="yolact-bench run a.yaml"),
    ):
        pass


def test_a_record_that_cannot_be_written_names_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise fault(errno.EIO)

    store = Store(tmp_path / "results.jsonl")
    monkeypatch.setattr(os, "write", broken)
    with pytest.raises(OSError, match=r"results\.jsonl"):
        store.add(fake_work.failure())


def test_a_refused_file_has_its_own_name_not_the_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, Path, "write_bytes", errno.EACCES, "")
    with pytest.raises(PermissionError) as refused:
        write_atomically(tmp_path / "a.json", "x")
    assert refused.value.filename == str(tmp_path / "a.json")
