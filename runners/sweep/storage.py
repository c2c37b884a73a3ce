"""Which database a study is kept in."""

import os
from pathlib import Path

from runners.tracking.server import store_uri
from yolact_bench.errors import SpecError
from yolact_bench.escape import without_passwords

VARIABLE = "OPTUNA_STORAGE"


def storage_url(option: str | None, work_dir: Path) -> str:
    """Return the database of a study: the option, the environment's, or work/optuna.db.

    Raises:
        SpecError: not a database URL, or the one of MLflow, which uses equal table names.
    """
    url = option or os.environ.get(VARIABLE)
    if not url:
        work_dir.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{(work_dir / 'optuna.db').absolute()}"
    if "://" not in url:
        raise SpecError(
            f"--storage {url}: expected a database URL such as sqlite:///optuna.db or "
            "postgresql+psycopg2://user@host/name"
        )
    if _same(url, store_uri(work_dir)):
        raise SpecError(
            f"--storage {without_passwords(url)}: this is the database of MLflow, "
            "whose table names clash with those of a study; give another"
        )
    return url


def is_own(url: str, work_dir: Path) -> bool:
    """Return whether the database belongs to this work directory alone."""
    return url == f"sqlite:///{(work_dir / 'optuna.db').absolute()}"


def _same(one: str, other: str) -> bool:
    """Whether two URLs lead to one database, whatever the user and the driver."""

    def plain(url: str) -> str:
        scheme, _, rest = url.partition("://")
        kind = scheme.partition("+")[0].lower()
        if kind == "sqlite":
            return f"sqlite://{Path(rest.removeprefix('/')).resolve()}"
        host, slash, name = rest.rpartition("@")[2].partition("/")
        kind = "postgresql" if kind == "postgres" else kind
        return f"{kind}://{host.lower()}{slash}{name}".rstrip("/")

    return plain(one) == plain(other)
