"""MLflow's server or database: a client of it, and what an error of it means."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runners.system.output import LogFormatter
from yolact_bench.errors import first_line
from yolact_bench.results.files import atomic_path

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

# A tracking server that is away may cost seconds a call, not the two minutes of the default.
# MLflow's usage reports, progress bars and start-up messages are off.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is for --json
}

Recovery = Literal["retry", "skip", "restart"]


def connect(work_dir: Path) -> "MlflowClient":
    """Return a client of the store that `store_uri` names; the embedded one is made if need be."""
    for key, value in _SETTINGS.items():
        os.environ.setdefault(key, value)
    from mlflow.tracking import MlflowClient

    for handler in logging.getLogger("mlflow").handlers:  # which its database's loggers share
        handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    if is_embedded():
        _make_database(work_dir)
    return MlflowClient(tracking_uri=store_uri(work_dir))


def is_embedded() -> bool:
    """Return whether the store is that of the work directory, not a server."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def store_uri(work_dir: Path) -> str:
    """Return MLFLOW_TRACKING_URI, or the embedded store of the work directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{work_dir.resolve()}/mlflow.db"


def recovery(error: Exception) -> Recovery:
    """Return what helps after an error: trying later, going on, or writing all runs again.

    "skip": MLflow never accepts it, as for a run that was deleted in its user interface.
    "restart": the runs no longer exist.
    """
    code = getattr(error, "error_code", "")
    if code == "RESOURCE_DOES_NOT_EXIST":
        return "restart"
    return "skip" if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST") else "retry"


def send(call: Callable[..., object], *arguments: object, **options: object) -> None:
    """Call MLflow; leave out what it will never accept, as retrying would not help."""
    try:
        call(*arguments, **options)
    except Exception as error:  # MLflow's class is not imported here
        if recovery(error) != "skip":
            raise
        log.warning("MLflow refuses a part of this execution: %s", first_line(error))


def _make_database(work_dir: Path) -> None:
    """Make MLflow's embedded database, whole or not at all.

    MLflow makes its tables one by one and their version last: a kill in between would leave a
    database that it never opens again. The first query of a client makes the tables.
    """
    from mlflow.tracking import MlflowClient

    path = work_dir.resolve() / "mlflow.db"
    if not path.exists():
        with atomic_path(path) as temporary:
            MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
