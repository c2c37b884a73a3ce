"""An ablation killed with SIGKILL twenty times ends as an undisturbed one."""

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from runners.cli import main as cli
from runners.cli import workplace
from runners.workdir.gc import find
from tests.runners.training.test_kill_training import differences
from tests.support.small_ablation import SPEC, write_spec
from yolact_bench.results.record import Accuracy, Failure
from yolact_bench.results.store import Store

STORM = (
    SPEC.replace("iterations: 3", "iterations: 12")
    .replace("steps: [2]", "steps: [8]")
    .replace("baseline:", "seeds: [0, 1]\nbaseline:")
)
# What is touched when the kill comes, in an order in which each still lies ahead: four trainings,
# two forward passes that two arms share and one that is an arm's own, six times; then the end.
MOMENTS = (
    *("manifest", "mlflow.db", "last", "log.jsonl", "last", "final"),  # the first training
    *("partial", "0000", "segm", "bbox", "meta", "matches", "results.jsonl", "resamples"),
    *("last", "final", "segm"),  # the second
    *("figures", "table.csv", "mlflow.db"),
)
# Which argument names the file.
_FILE_EVENTS = {"open": 0, "os.rename": 1, "os.remove": 0, "sqlite3.connect": 0}

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["runners.cli.run", "reports.pages.build", "reports.figures", "mlflow"]
)


def run(spec: Path, work: Path, moment: str = "", *, seed: int = 0) -> int:
    """Run the command line in a process group of its own; return the exit code, -9 if killed."""
    process = _PROCESSES.Process(target=_run, args=(spec, work, moment, seed))
    process.start()
    process.join(240)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def _run(spec: Path, work: Path, moment: str, seed: int) -> None:
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # as in a process of its own
    torch.set_num_threads(1)
    make = workplace.make_workplace
    workplace.make_workplace = lambda *words, **options: replace(  # type: ignore[assignment]
        make(*words, **options), checkpoint_seconds=-1.0
    )
    if moment:
        _arm_a_kill(work, moment, random.Random(seed))
    words = ["run", str(spec), "--work-dir", str(work), "--workers", "1", "--device", "cpu"]
    sys.argv = ["yolact-bench", *words, "--rounds", "2", "--validate-every", "4"]
    cli.main()


def _arm_a_kill(work: Path, moment: str, chance: random.Random) -> None:
    """Kill the process group a random while after a random one of the next touches."""
    wait = chance.randint(1, 3 if moment in {"last", "0000"} else 1)
    delay = chance.choice([0.0, chance.uniform(0.0, 0.05)])
    place, parent = str(work), os.getpid()

    def kill() -> None:
        os.killpg(0, signal.SIGKILL)

    def see(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal wait
        if event not in _FILE_EVENTS or os.getpid() != parent:
            return
        path = arguments[_FILE_EVENTS[event]]
        if isinstance(path, str | os.PathLike):
            _, inside, name = str(path).partition(place)
            if inside and moment in name:
                wait -= 1
                if wait == 0 and delay:
                    threading.Timer(delay, kill).start()
                elif wait == 0:
                    kill()

    sys.addaudithook(see)


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The work directories of an undisturbed run and of one that was killed twenty times."""
    folder = tmp_path_factory.mktemp("storm")
    spec = write_spec(folder, STORM)
    calm, killed = folder / "calm", folder / "killed"
    assert run(spec, calm) == 0
    for seed, moment in enumerate(MOMENTS):
        assert run(spec, killed, moment, seed=seed) == -signal.SIGKILL, moment
    assert run(spec, killed) == 0
    return calm, killed


def accuracies(work: Path) -> list[dict[str, object]]:
    """Return what every accuracy says, but for times and the seconds that a training took.

    By arm and seed: a kill between two records of one replay leaves the second to its own turn.
    """
    timed = ("time", "environment", "train_seconds", "train_images_per_second")
    records = [r for r in Store(work / "results.jsonl").records() if isinstance(r, Accuracy)]
    records.sort(key=lambda record: (record.arm, record.seed))
    return [{k: v for k, v in asdict(r).items() if k not in timed} for r in records]


def files(work: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a pattern with their places in the work directory."""
    for path in sorted(work.glob(pattern)):
        yield str(path.relative_to(work)), path


@pytest.mark.slow
def test_twenty_kills_change_nothing_that_was_measured(storm: tuple[Path, Path]) -> None:
    """Two seeds of three arms: six accuracies, of four trainings, each recorded once."""
    assert len(MOMENTS) == 20
    calm, killed = storm
    assert len(accuracies(calm)) == 6
    assert accuracies(killed) == accuracies(calm)
    records = Store(killed / "results.jsonl").records()
    assert not any(isinstance(record, Failure) for record in records)
    for line in (killed / "results.jsonl").read_text().splitlines():
        json.loads(line)

    weights = dict(files(calm, "checkpoints/*/final.pt"))
    assert len(weights) == 4
    for name, path in weights.items():
        one, other = (torch.load(p, weights_only=True) for p in (path, killed / name))
        assert differences(one["network"], other["network"]) == [], name
    for pattern in ("predictions/*/bbox.json", "predictions/*/segm.json", "resamples/*.npz"):
        result = dict(files(calm, pattern))
        assert len(result) == 6
        assert all(
            path.read_bytes() == (killed / name).read_bytes() for name, path in result.items()
        )


@pytest.mark.slow
def test_twenty_kills_leave_nothing_that_gc_does_not_know(storm: tuple[Path, Path]) -> None:
    _, killed = storm
    later = max(path.stat().st_mtime for path in killed.rglob("*")) + 1e5
    result = find(killed, now=later)
    assert not result.left
    known = [item.path for item in result.items]
    torn = [path for path in killed.rglob("*") if ".tmp" in path.name]
    assert torn  # or no kill came amidst a file
    unknown = [p for p in torn if not any(p.is_relative_to(item) for item in known)]
    assert unknown == []


@pytest.mark.slow
def test_twenty_kills_leave_the_database_of_mlflow_whole_and_free(storm: tuple[Path, Path]) -> None:
    with closing(sqlite3.connect(storm[1] / "mlflow.db", timeout=0.0)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_after_twenty_kills_mlflow_has_the_last_execution(storm: tuple[Path, Path]) -> None:
    with closing(sqlite3.connect(storm[1] / "mlflow.db", timeout=0.0)) as database:
        ended = "SELECT count(*) FROM runs WHERE status = 'FINISHED'"
        assert database.execute(ended).fetchone()[0] >= 7  # six arms and their parent
