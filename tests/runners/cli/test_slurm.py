"""The SLURM batch files, run with stand-ins for SLURM's commands on this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.ray_nodes import descendants, kill
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.results.record import Accuracy
from yolact_bench.results.store import Store

FILES = sorted((ROOT / "docs" / "slurm").glob("*.sbatch"))
# Runs the command here, as the node "another".
SRUN = """\
#!/usr/bin/env bash
echo "srun $*" >> "$SHIM_LOG"
while [[ "$1" == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = """\
#!/usr/bin/env bash
echo "scontrol $*" >> "$SHIM_LOG"
if [[ "$1" == show ]]; then hostname; echo another; fi
"""
PROGRAM = f"""\
#!{sys.executable}
from runners.cli.main import main
main()
"""


@pytest.fixture
def job(tmp_path: Path) -> Iterator["BatchJob"]:
    made = BatchJob(tmp_path)
    yield made
    made.close()


class BatchJob:
    """A batch file that runs as SLURM's daemon would run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "slurm.log"
        shims = folder / "bin"
        shims.mkdir()
        for name, text in {"srun": SRUN, "scontrol": SCONTROL, "yolact-bench": PROGRAM}.items():
            (shims / name).write_text(text)
            (shims / name).chmod(0o755)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "RAY_"))}
        places = shims, Path(sys.executable).parent, os.environ["PATH"]
        self.environment = {
            **inherited,
            "PATH": os.pathsep.join(map(str, places)),
            "PYTHONPATH": str(ROOT),
            "SHIM_LOG": str(self.log),
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_JOB_NODELIST": "two",
            "SLURM_CPUS_ON_NODE": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, file: str, *words: str) -> None:
        with (self.folder / "out.txt").open("wb") as out:
            self.process = subprocess.Popen(
                ["bash", str(ROOT / "docs" / "slurm" / file), *words],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(150)

    @property
    def output(self) -> str:
        return (self.folder / "out.txt").read_text()

    def close(self) -> None:
        if self.process is not None:
            for pid in descendants(self.process.pid):
                kill(pid)
            self.process.wait()


def test_there_are_batch_files() -> None:
    assert [file.stem for file in FILES] == ["yolact_bench_ray", "yolact_bench_torchrun"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_batch_file_is_proper_bash(file: Path) -> None:
    subprocess.run(["bash", "-n", str(file)], check=True)


@pytest.mark.slow
def test_the_batch_file_of_ray_runs_an_ablation_on_all_nodes(tmp_path: Path, job: BatchJob) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'yolact-bench[ray]'")
    spec = write_spec(tmp_path)
    words = ["--work-dir", str(tmp_path / "work"), "--device", "cpu", "--workers", "0"]
    job.start("yolact_bench_ray.sbatch", str(spec), *words, "--rounds", "2")
    assert job.wait() == 0, job.output
    found = Store(tmp_path / "work" / "results.jsonl").records()
    assert {r.arm for r in found if isinstance(r, Accuracy)} == {"k_4", "k_2", "sequential"}
    assert "--nodelist=another" in job.log.read_text()
    assert "requeue" not in job.log.read_text()


@pytest.mark.slow
def test_the_batch_file_of_ray_stops_with_checkpoints_and_asks_to_be_queued_again(
    tmp_path: Path, job: BatchJob
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'yolact-bench[ray]'")
    spec = write_spec(tmp_path, SPEC.replace("iterations: 3,", "iterations: 100000,"))
    at = context(tmp_path / "work")
    folders = {at.place.checkpoint_folder(s.unit.run) for s in plan_spec(spec, at).steps}
    assert len(folders) == 2
    words = ["--work-dir", str(tmp_path / "work"), "--device", "cpu", "--workers", "0"]
    job.start("yolact_bench_ray.sbatch", str(spec), *words)
    deadline = time.monotonic() + 120
    while not all((folder / "log.jsonl").is_file() for folder in folders):
        assert time.monotonic() < deadline, job.output
        time.sleep(0.2)
    assert job.process is not None
    job.process.send_signal(signal.SIGUSR1)
    assert job.wait() != 0
    assert all((folder / "last.pt").is_file() for folder in folders)
    assert f"scontrol requeue {os.getpid()}" in job.log.read_text()
    left = subprocess.run(["pgrep", "-f", f"/tmp/ray-{os.getpid()}/"], check=False).returncode
    assert left == 1, "something of Ray still runs"
