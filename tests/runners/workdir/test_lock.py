"""The lock of a work directory, with real processes."""

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runners.workdir.lock import LOCK_FILE, hold_lock, lock_holder
from tests.runners.cli.test_cli import exit_code
from tests.support.small_ablation import write_spec
from yolact_bench.errors import SpecError

HOLD = """\
import os, sys, time
from pathlib import Path
from runners.workdir.lock import hold_lock
with hold_lock(Path(sys.argv[1]), command="yolact-bench run other.yaml"):
    if sys.argv[2] == "fork" and os.fork() == 0:
        os.close(1)  # the parent's pipe
        time.sleep(60)
    print("held", os.getpid(), flush=True)
    sys.stdin.read()
"""


class Other:
    """Another process, which holds the lock until it is asked to end."""

    def __init__(self, work: Path, how: str = "plain") -> None:
        words = [sys.executable, "-c", HOLD, str(work), how]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().split()[0] == "held"

    def __enter__(self) -> "Other":
        return self

    def kill(self) -> None:
        """SIGKILL: no code of its own runs any more."""
        self.process.kill()
        self.process.wait(timeout=10)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # killed, and no child left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def test_a_second_process_is_told_who_writes_and_what_to_do(tmp_path: Path) -> None:
    with Other(tmp_path) as other:
        with pytest.raises(SpecError) as refused, hold_lock(tmp_path, command="second"):
            pytest.fail("two writers")
        output = str(refused.value)
        words = ("`yolact-bench run other.yaml`", str(other.process.pid), os.uname().nodename)
        assert all(word in output for word in (*words, "--work-dir", "wait", "stop it"))
        holder = lock_holder(tmp_path)
        assert holder is not None
        assert holder.pid == other.process.pid
    assert lock_holder(tmp_path) is None


@pytest.mark.parametrize("how", ["plain", "fork"])
def test_a_killed_process_leaves_no_lock_even_if_its_child_lives_on(
    tmp_path: Path, how: str
) -> None:
    """A child of `fork` shares the parent's open file, as a loader's worker would."""
    with Other(tmp_path, how) as other:
        other.kill()
        with hold_lock(tmp_path, command="mine") as mine:
            assert mine.pid == os.getpid()


def test_the_lock_ends_with_its_block_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold_lock(tmp_path, command="first"):
        raise ZeroDivisionError
    with hold_lock(tmp_path, command="second"):
        assert lock_holder(tmp_path) is not None
    assert lock_holder(tmp_path) is None


def test_commands_that_write_stop_and_commands_that_read_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, work = str(write_spec(tmp_path)), tmp_path / "work"
    place = ("--work-dir", str(work))
    with Other(work):
        for words in (["run", spec], ["train", "yolact_tiny"], ["gc", "--delete"]):
            assert exit_code(*words, *place, monkeypatch=monkeypatch) == 2
            assert "another process writes there" in capsys.readouterr().err
        for words in (["plan", spec], ["run", spec, "--dry-run"], ["list", "runs"], ["gc"]):
            assert exit_code(*words, *place, monkeypatch=monkeypatch) == 0
        assert "run other.yaml" in capsys.readouterr().out  # gc names the writer
    assert [path.name for path in work.iterdir()] == [LOCK_FILE]


def test_a_file_system_without_locks_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(SpecError, match=r"cannot lock files .*local disk"),
        hold_lock(tmp_path, command="mine"),
    ):
        pytest.fail("went on without a lock")


def test_a_place_where_nobody_can_write_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SpecError, match=r"file/work: cannot be written"),
        hold_lock(tmp_path / "file" / "work", command="mine"),
    ):
        pytest.fail("a folder below a file")
