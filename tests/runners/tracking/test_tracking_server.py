"""A tracking server that is killed in the middle of an ablation misses nothing in the end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runners.tracking.backfill import backfill
from runners.tracking.events import Phase
from runners.tracking.tracker import Tracker
from tests.support.mlflow_store import Seen, seen
from tests.support.small_ablation import context, run_spec, write_spec
from yolact_bench.results.manifest import PlannedRun

pytestmark = pytest.mark.slow

# Differ from run to run.
MEASURED = ("seconds", "latency/", "images_per_second", "interval/", "memory/")


class Server:
    """A real `mlflow server` that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        store = ["--backend-store-uri", f"sqlite:///{self._folder}/server.db"]
        store += ["--artifacts-destination", str(self._folder / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        own = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        own["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # a dozen processes of no use here
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *store, *address],
            env=own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while not self._answers():
            if time.monotonic() > deadline:
                self.kill()  # or its workers would slow down every later test
                raise AssertionError("mlflow server did not start")
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL it with its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2.0):
                return True
        except (urllib.error.URLError, OSError):
            return False


class Disturbed(Tracker):
    """A tracker during whose arms something happens."""

    def __init__(self, work_dir: Path, happens: dict[str, Callable[[], None]]) -> None:
        super().__init__(work_dir, longest_pause=2.0)
        self._happens = happens

    def arm_started(self, planned: PlannedRun, phase: Phase) -> None:
        if planned.arm in self._happens:
            self.drain()
            self._happens[planned.arm]()
        super().arm_started(planned, phase)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)
    running = Server(tmp_path)
    running.start()
    yield running
    running.kill()


def account(uri: str) -> dict[str, tuple[object, ...]]:
    """All that a store holds but measured times; of those, at which steps they are."""
    return {name: _plain(run) for name, run in seen(uri, "small").items()}


def _plain(run: Seen) -> tuple[object, ...]:
    points = {
        name: [step for step, _ in history] if any(m in name for m in MEASURED) else history
        for name, history in run.points.items()
    }
    return run.tags, run.params, points, run.status, run.artifacts, run.parent


@pytest.mark.parametrize("comes_back", ["during the run", "after it"])
def test_a_server_killed_in_the_middle_ends_with_what_it_would_have(
    tmp_path: Path,
    server: Server,
    comes_back: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = write_spec(tmp_path)
    quiet = tmp_path / "undisturbed"
    tracker = Tracker(quiet)
    run_spec(spec, context(quiet, tracker=tracker))
    tracker.close(60.0)
    expected = account(f"sqlite:///{quiet}/mlflow.db")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    work = tmp_path / "work"
    happens = {"k_2": server.kill}
    if comes_back == "during the run":
        happens["sequential"] = server.start
    disturbed = Disturbed(work, happens)
    run_spec(spec, context(work, tracker=disturbed))
    disturbed.drain(60.0)
    disturbed.close(60.0)
    warned = "track backfill small" in caplog.text
    if comes_back == "after it":
        assert warned
        server.start()
        (done,) = backfill(work)
        # Of the four. The parent was there, k_4, and sequential, which is replayed with k_4.
        assert done.runs == 1
    else:
        assert not warned
    assert account(server.uri) == expected
    (again,) = backfill(work)
    assert (again.runs, again.points) == (0, 0)
    assert account(server.uri) == expected

    shutil.rmtree(work / "executions")  # what is left is records, manifest and logs
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    backfill(work)
    restored = account(f"sqlite:///{work}/mlflow.db")
    assert restored.keys() == expected.keys()
    for name in expected.keys() - {"parent"}:
        assert restored[name] == expected[name]
