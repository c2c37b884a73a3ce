"""Which classes the labels of a file of weights mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.spec.base_run import dataset_name, read_run
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import Run
from yolact_bench.weights.checkpoint import is_checkpoint, train_digest_of
from yolact_bench.weights.released import find_released
from yolact_bench.weights.state_file import read_state
from yolact_bench.work_names import RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClasses:
    """The names of the classes of a network in the order of labels, background left out."""

    names: tuple[str, ...]
    dataset: str = ""  # display name of the data that it was trained on; "" where unknown


def stored_classes(path: Path) -> StoredClasses | None:
    """Return the classes of a file of weights; None where nothing says them.

    A checkpoint says them itself, one of an earlier version by the run.yaml beside it; of a
    released file they are those of its configuration.

    Raises:
        SpecError: no such file, or none of weights.
    """
    return classes_of(read_state(path, where="weights"), path)


def classes_of(state: Mapping[str, object], path: Path) -> StoredClasses | None:
    """Return the same of what the file holds."""
    if not is_checkpoint(state):
        run = PRESETS.get(find_released(state))
        return None if run is None else _of_run(run)
    names = state.get("classes")
    if isinstance(names, list) and names:
        return StoredClasses(names=tuple(map(str, names)), dataset=str(state.get("dataset", "")))
    return _beside(path, train_digest_of(state))


def _beside(path: Path, train_digest: str) -> StoredClasses | None:
    """Return the classes of the run.yaml beside a checkpoint, if it is of the same training."""
    file = path.with_name(RUN)
    if not file.is_file():
        return None
    run = read_run(str(file), relative_to=Path())
    is_same = train_digest in {"", run.train_digest}  # an import has no digest
    return _of_run(run) if is_same else None


def _of_run(run: Run) -> StoredClasses:
    return StoredClasses(names=run.classes, dataset=dataset_name(run))
