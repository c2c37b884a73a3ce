"""The password of MLFLOW_TRACKING_URI stands in no message, finding or record."""

import errno
import http.server
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runners.arms import failure
from runners.tracking import backfill
from runners.tracking.server import connect
from runners.tracking.storage_checks import check_mlflow_store
from tests.support import fake_work
from yolact_bench.errors import SpecError

SECRET = "hunter2"


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a server that answers everything."""
    healthy = http.server.HTTPServer(("127.0.0.1", 0), _Healthy)
    threading.Thread(target=healthy.serve_forever, daemon=True).start()
    yield healthy.server_port
    healthy.shutdown()


def test_the_doctor_reaches_a_server_behind_a_password(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:{server}")
    (check,) = check_mlflow_store(tmp_path)
    assert (check.state, check.detail) == ("ok", f"http://me:…@127.0.0.1:{server} answers 200")


@pytest.mark.parametrize(
    "uri", ["http://me:{}@127.0.0.1:1", "http://me:{}@host:port", "x://m:{}@h"]
)
def test_the_doctor_names_a_store_without_its_password(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(SECRET))
    (check,) = check_mlflow_store(tmp_path)
    assert uri.format("…") in check.detail
    assert SECRET not in check.detail


def test_what_mlflow_logs_itself_has_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"http://me:{SECRET}@127.0.0.1:1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    connect(tmp_path)
    record = logging.LogRecord("mlflow", logging.ERROR, "", 0, "no answer from %s", (uri,), None)
    texts = {handler.format(record) for handler in logging.getLogger("mlflow").handlers}
    assert "ERROR mlflow: no answer from http://me:…@127.0.0.1:1" in texts
    assert SECRET not in " ".join(texts)


def test_a_backfill_that_fails_names_the_store_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"postgresql://me:{SECRET}@host/db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    def refuse(_: Path) -> None:
        raise RuntimeError(f"no answer from {uri}")

    monkeypatch.setattr(backfill, "Writer", refuse)
    with pytest.raises(SpecError, match="postgresql://me:…@host/db: MLflow cannot be") as raised:
        backfill.backfill(fake_work.write_work(tmp_path / "work"))
    assert SECRET not in str(raised.value)


def test_the_record_of_a_failure_has_no_password_and_names_what_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = fake_work.failure()
    identity = {
        name: getattr(facts, name)
        for name in ("ablation", "arm", "seed", "train_digest", "detect_digest")
    }
    monkeypatch.setattr(failure, "identity", lambda _: identity)
    monkeypatch.setattr(failure, "environment", lambda _: facts.environment)
    place = cast("Any", SimpleNamespace(work_dir=tmp_path, device="cpu"))
    error = RuntimeError(f"https://me:{SECRET}@host/data: gone")
    record = failure.failure_record(cast("Any", None), place, "train", error)
    refused = PermissionError(errno.EACCES, "Permission denied", "work/final.pt")
    fault = failure.failure_record(cast("Any", None), place, "train", refused).message
    assert fault.startswith("work/final.pt: cannot be read or written (Permission denied);")
    assert fault.endswith("with --retry-failed")
    assert record.message == "https://me:…@host/data: gone"
    assert record.traceback == "RuntimeError: https://me:…@host/data: gone\n"
