"""A sweep in its own process, under SIGKILL."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from yolact_bench.results.sweep import Sweep, load

TRIALS = 9
SPEC = f"""\
# Which rate, and how many prototypes?
schema: 1
name: killed
base: yolact_tiny
dataset: {{name: shapes, train_images: 16, val_images: 4, size: 96}}
set:
  image_size: 72
  precision: fp32
  batch_norm: train
  schedule: {{name: steps, iterations: 30, batch_size: 2, lr: 0.003, warmup: 1, steps: [20]}}
trials: {TRIALS}
pruner: {{name: median, n_startup_trials: 2}}
validate_every: 10
space:
  schedule.lr: {{low: 0.001, high: 0.008, log: true}}
  protonet.k: [2, 4]
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    words = ["sweep", str(folder / "killed.yaml"), "--work-dir", str(folder / "work")]
    words += ["--device", "cpu", "--workers", "0", "--slots", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", "from runners.cli.main import main; main()", *words], env=environment
    )


def num_ended(folder: Path) -> int:
    """How many trials have ended, by the summary on disk."""
    try:
        text = (folder / "work" / "sweeps" / "killed" / "sweep.json").read_text()
    except FileNotFoundError:
        return 0
    return sum(t["state"] in ("complete", "pruned") for t in json.loads(text)["trials"])


def is_training(folder: Path) -> bool:
    logs = (folder / "work" / "checkpoints").glob("*/run.yaml")
    return any(not (log.parent / "final.pt").exists() for log in logs)


def kill_when(folder: Path, least: int) -> None:
    """Start the sweep and kill it when `least` trials have ended and another trains."""
    sweep = start(folder)
    try:
        deadline = time.monotonic() + 200
        while num_ended(folder) < least or not is_training(folder):
            assert time.monotonic() < deadline
            assert sweep.poll() is None, "it ended before it was killed"
            time.sleep(0.1)
    finally:
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()


def summary(folder: Path) -> Sweep:
    return load(folder / "work" / "sweeps" / "killed")


@pytest.mark.slow
def test_a_sweep_killed_twice_finishes_every_set_once_or_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "killed.yaml").write_text(SPEC)
    kill_when(tmp_path, 0)
    kill_when(tmp_path, 3)

    last = start(tmp_path)

    assert last.wait(400) == 0
    sweep = summary(tmp_path)
    assert Counter(trial.state for trial in sweep.trials).keys() <= {
        "complete",
        "pruned",
        "failed",
        "lost",
        "skipped",
    }
    finished = Counter(
        json.dumps(dict(trial.params), sort_keys=True)
        for trial in sweep.trials
        if trial.state in ("complete", "pruned")
    )
    assert set(finished.values()) == {1}, "a set of parameters was finished twice"
    for trial in sweep.trials:
        assert trial.reason or trial.state == "complete"
    lost = [t for t in sweep.trials if t.reason == "its coordinator ended; tried again"]
    assert all(trial.state == "lost" for trial in lost)
    assert lost, "no trial was running when the coordinator was killed"
    retried = {trial.origin for trial in sweep.trials}
    assert {f"retry of {trial.number}" for trial in lost} <= retried
    assert len(finished) == TRIALS, "a trial that was lost was not replaced"
    records = (tmp_path / "work" / "results.jsonl").read_text().splitlines()
    digests = Counter(json.loads(line)["detect_digest"] for line in records)
    assert set(digests.values()) == {1}, "a trial was recorded twice"
