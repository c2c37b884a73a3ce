"""Whatever happens to a file of a work directory, commands read it, make it again or refuse it."""

import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runners.cli.main import main
from tests.support.built_reports import leave_out_figures
from tests.support.damaged_files import damage
from tests.support.fake_sweeps import budget_sweep, nms_sweep, save_sweep
from tests.support.fake_work import (
    NAME,
    Accuracy,
    errors,
    finished_records,
    manifest,
    write_resamples,
    write_work,
)

_SECONDS = 30
_OF_ABLATIONS = (
    ("report", NAME),
    ("report", NAME, "--check"),
    ("list", "runs"),
    ("export-results", NAME, "--output", "tables"),
)
_OF_SWEEPS = (("report", "sweeps/nms"), ("report", "sweeps/budget"), ("list", "sweeps"))
_RECORDS = {"results.jsonl", "manifest.json"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work directory with an ablation, with intervals and errors, and with two sweeps."""
    work = tmp_path_factory.mktemp("finished")
    records = [*finished_records(), errors("fast"), errors("sequential")]
    write_work(work, records, manifest(measure=("accuracy", "latency", "errors")))
    for record in records:
        if isinstance(record, Accuracy):
            write_resamples(work, record)
    save_sweep(work, nms_sweep(12))
    save_sweep(work, budget_sweep(12))
    return work


@contextmanager
def time_limit() -> Iterator[None]:
    """Fail instead of waiting at a pipe for ever."""

    def end(*_: object) -> None:
        raise AssertionError("the command hangs")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def execute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., object]:
    """Execute a command in this process and return its exit code."""
    leave_out_figures(monkeypatch)
    monkeypatch.setattr("reports.sweeps.build.FIGURES", _NoFigures)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> object:
        monkeypatch.setattr(sys, "argv", ["yolact-bench", *words])
        with time_limit(), pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code

    return run


class _NoFigures:
    @staticmethod
    def draw(*_: object, **__: object) -> dict[str, object]:
        return {}

    @staticmethod
    def stems(*_: object, **__: object) -> tuple[str, ...]:
        return ()


def damage_and_read(
    finished: Path, work: Path, seed: int, execute: Callable[..., object]
) -> tuple[str, list[object]]:
    """Damage one file of a copy; return how, and the exit codes of the commands that read it."""
    shutil.copytree(finished, work)
    draw = random.Random(seed)
    file = draw.choice([path for path in sorted(work.rglob("*")) if path.is_file()])
    how = f"{file.relative_to(work)}: {damage(file, draw)}"
    commands = _OF_SWEEPS if "sweeps" in file.parts else _OF_ABLATIONS
    return how, [execute(*words, "--work-dir", str(work)) for words in commands]


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_file_is_never_a_traceback_a_hang_or_a_number(
    seed: int, finished: Path, tmp_path: Path, execute: Callable[..., object]
) -> None:
    how, codes = damage_and_read(finished, tmp_path / "work", seed, execute)
    assert set(codes) <= {0, 1, 2, None}, how


@pytest.mark.slow
def test_none_of_many_damaged_files_is_a_traceback_a_hang_or_a_number(
    finished: Path, tmp_path: Path, execute: Callable[..., object]
) -> None:
    for seed in range(100, 300):
        how, codes = damage_and_read(finished, tmp_path / "work", seed, execute)
        shutil.rmtree(tmp_path / "work")
        assert set(codes) <= {0, 1, 2, None}, how
        is_a_number = any(word in how for word in ("= nan", "= inf"))
        if is_a_number and "log.jsonl" not in how:
            assert 2 in codes, how


@pytest.mark.parametrize("name", ["results.jsonl", "reports/quick/manifest.json"])
@pytest.mark.parametrize("content", [b"", b"[[[]]]\n", b"\x80\n", b'{"schema": 1}\n', None])
def test_the_message_says_which_file_is_damaged(
    name: str,
    content: bytes | None,
    finished: Path,
    tmp_path: Path,
    execute: Callable[..., object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    shutil.copytree(finished, work)
    (work / name).unlink()
    if content is None:
        (work / name).mkdir()
    else:
        (work / name).write_bytes(content)
    code = execute("report", NAME, "--work-dir", str(work))
    if name == "results.jsonl" and content == b"":
        assert code is None, "no record is no damage"
        return
    assert code == 2
    message = capsys.readouterr().err
    assert str(work / name) in message
    assert "remove" in message or "again" in message
