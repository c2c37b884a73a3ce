"""The Optuna study of a sweep: created, or opened where it was begun with the same choices."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy.exc

from yolact_bench.errors import SpecError, first_line
from yolact_bench.escape import without_passwords
from yolact_bench.spec.sweep.sweep import SweepSpec

_IDENTITY = "yolact_bench"
DATA = "content of the data"  # of training and evaluation
_PATIENCE = 60.0  # seconds to wait for another process to unlock an sqlite file


def open_study(spec: SweepSpec, storage: str, identity: Mapping[str, str]) -> optuna.Study:
    """Return the study of a spec, in which `identity` stands.

    Raises:
        SpecError: a storage that does not answer, or a study that was started with other choices.
    """
    up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
    directions = [up if one.maximise else down for one in spec.objectives]
    try:
        study = _with_retries(
            lambda: optuna.create_study(
                study_name=spec.name,
                storage=open_storage(storage),
                directions=directions,
                load_if_exists=True,
            )
        )
    except ImportError as error:
        raise SpecError(f"--storage: install its driver with pip ({error})") from error
    except Exception as error:
        kind = type(error).__name__
        raise SpecError(
            f"--storage: the study {spec.name} cannot be opened ({kind}); is it a database "
            "URL such as postgresql+psycopg2://user@host/name that answers?"
        ) from error
    stored = study.user_attrs.get(_IDENTITY)
    if stored is None:
        study.set_metric_names([one.metric for one in spec.objectives])  # for optuna-dashboard
        study.set_user_attr(_IDENTITY, identity)
        return study
    if DATA in identity and DATA not in stored:  # of an earlier version
        stored = {**stored, DATA: identity[DATA]}
        study.set_user_attr(_IDENTITY, stored)
    changed = [key for key in {**stored, **identity} if stored.get(key) != identity.get(key)]
    if changed:
        was, now = (one.get(changed[0], "not stated") for one in (stored, identity))
        raise spec.source.error(
            ("name",),
            f"the study {spec.name} was started with another {changed[0]} (then {was}, now {now}); "
            "its trials would not be comparable: write another name, or undo the change",
        )
    return study


@contextmanager
def storage_faults(url: str) -> Iterator[None]:
    """Turn errors of the database during a sweep into one message.

    Raises:
        SpecError: it is locked, full, read-only, gone or does not answer.
    """
    file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = getattr(error, "orig", None) or error.__cause__ or error
        cause = getattr(cause, "orig", None) or cause
        raise SpecError(
            f"--storage {without_passwords(url)}: the database of the study cannot be used any "
            f"more ({first_line(cause)}); see to its disk and its permissions; the same command "
            "then continues"
        ) from error
    if file is not None and not file.is_file():
        raise SpecError(
            f"--storage {url}: was removed while the sweep ran, so trials are lost; put it back, "
            "or start again with another name"
        )


def _with_retries(open_it: Callable[[], optuna.Study]) -> optuna.Study:
    """Retry: of two coordinators that create the tables at the same time, one fails."""
    for pause in (1.0, 2.0):
        try:
            return open_it()
        except sqlalchemy.exc.SQLAlchemyError:
            time.sleep(pause)
    return open_it()


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Return the storage; a reader such as optuna-dashboard may lock an sqlite file."""
    patience = {"connect_args": {"timeout": _PATIENCE}} if url.startswith("sqlite") else {}
    return optuna.storages.RDBStorage(url, engine_kwargs=patience)
