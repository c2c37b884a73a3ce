"""An execution that MLflow gets in two halves, and a store that is away in between."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runners.tracking.tracker import Tracker
from tests.support.mlflow_store import seen
from tests.support.tracked_arms import TAGS, accuracy, failure, latency, manifest, planned
from yolact_bench.results.manifest import save
from yolact_bench.results.store import Store

ITERATIONS = range(10, 310, 10)


def new_store(folder: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder.mkdir()
    shutil.copy(empty_store, folder)
    address = f"sqlite:///{folder}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.chdir(folder)  # where MLflow puts artifacts without a server
    return address


def begin(work: Path) -> Tracker:
    """Log the first half of an execution."""
    tracker = Tracker(work, longest_pause=0.05)
    tracker.start(manifest(), "name: quick\n", TAGS)
    tracker.arm_started(planned("fast"), "train+evaluate")
    for iteration in ITERATIONS[:10]:
        tracker.log_training("fast", 0, iteration, {"train/loss_box": 1.0 / iteration})
    return tracker


def go_on(tracker: Tracker, work: Path) -> None:
    """Log the second half."""
    for iteration in ITERATIONS[10:]:
        tracker.log_training("fast", 0, iteration, {"train/loss_box": 1.0 / iteration})
    tracker.log_record(accuracy("fast"))
    tracker.arm_started(planned("soft"), "evaluate")
    tracker.log_record(replace(accuracy("soft"), proxy=True))
    tracker.arm_started(planned("broken"), "train+evaluate")
    tracker.log_record(failure("broken"))
    tracker.log_record(latency("fast"))
    tracker.finish("FINISHED")
    report = work / "reports" / "quick"
    report.mkdir(parents=True)
    (report / "report.md").write_text("# quick\n")
    tracker.log_artifacts(report)


def take_away(folder: Path) -> None:
    """Make a store unreachable: its folder is elsewhere, and a file in its place."""
    folder.rename(folder.with_name("away"))
    folder.write_text("")


def bring_back(folder: Path) -> None:
    folder.unlink()
    folder.with_name("away").rename(folder)


def until_trouble(tracker: Tracker) -> None:
    deadline = time.monotonic() + 20
    while not tracker.fault:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def undisturbed(folder: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    folder.mkdir()
    address = new_store(folder / "store", empty_store, monkeypatch)
    tracker = begin(folder / "work")
    go_on(tracker, folder / "work")
    tracker.close()
    return accounts(address)


def accounts(address: str) -> dict:
    """What a store holds, without the times, which differ between two executions."""
    return {name: replace(run, times={}) for name, run in seen(address, "quick").items()}


def write_records(work: Path) -> None:
    """A work directory whose executions left records, but no journal."""
    digests = {"fast": "a" * 8, "soft": "b" * 8, "broken": "c" * 8}
    runs = tuple(
        replace(planned(arm), train_digest="t" * 8, detect_digest=digest)
        for arm, digest in digests.items()
    )
    save(replace(manifest(), runs=runs), work / "reports" / "quick")
    (work / "reports" / "quick" / "report.md").write_text("# quick\n")
    store = Store(work / "results.jsonl")
    known = {"train_digest": "t" * 8}
    store.add(replace(accuracy("fast"), **known, detect_digest=digests["fast"]))
    other = replace(accuracy("soft"), ablation="other", arm="x", **known)
    store.add(replace(other, detect_digest=digests["soft"]))
    store.add(replace(failure("broken"), **known, detect_digest=digests["broken"]))
    for arm, digest in digests.items():
        store.add(replace(latency(arm), **known, detect_digest=digest))
    log = work / "checkpoints" / ("t" * 8) / "log.jsonl"
    log.parent.mkdir(parents=True)
    lines = [
        {"iteration": i, "losses": {"box": 1.0 / i}, "total": 1.0 / i, "lr": 0.1}
        | {"images_per_second": 80.0, "seconds": i / 100}
        for i in (10, 20)
    ]
    lines.append({"iteration": 20, "validation": {"mask_ap": 0.125}})
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"iteration": 3')
