"""One session on a GPU: what each runtime takes, the deformable kernel, training.

    python -m tests.benchmarks.gpu_session                       # writes reports/records/<gpu>.json
    python -m tests.benchmarks.gpu_session --parts micro,gate    # these alone, again
    python -m tests.benchmarks.gpu_session --table FILE.json     # its table again
    python -m tests.benchmarks.gpu_session --small --device cpu  # the same at a small size

Parts are in order of value, each within a time box of its own, the whole within ten minutes. What
is done is written after every part; the same command does what is left, on the same commit and
device. Everything is timed in alternating rounds, and every session times its first arm twice: the
interval of that ratio must contain 1, or the session does not count.
"""

import argparse
import json
import logging
import multiprocessing
import re
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from runners.system.environment import SOURCE_TREE, environment
from tests.benchmarks.gpu_gate import gate_part
from tests.benchmarks.gpu_micro import micro_part
from tests.benchmarks.gpu_networks import networks_part
from tests.benchmarks.gpu_operators import deform_part
from tests.benchmarks.gpu_size import FULL, SMALL, Part, Size
from tests.benchmarks.gpu_table import table_of
from tests.benchmarks.gpu_trace import trace_part
from tests.benchmarks.gpu_training import loader_part, training_part
from yolact_bench.results.files import write_atomically

log = logging.getLogger(__name__)

SCHEMA = 2
SECONDS = 600.0
_START_SECONDS = 60.0  # of a new process, which imports torch


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """One part, and the seconds after which it is given up."""

    seconds: float
    measure: Callable[[], Part]


def parts_of(size: Size, device: torch.device, folder: Path | None) -> dict[str, PlannedPart]:
    """Return all parts by name, in order of value: a session that is cut loses the tail."""
    first, second = size.presets[0], size.presets[min(1, len(size.presets) - 1)]
    network = partial(networks_part, size=size, device=device)
    parts = {
        "micro": PlannedPart(40, partial(micro_part, size, device)),
        "gate": PlannedPart(60, partial(gate_part, size, device)),
    }
    for preset in dict.fromkeys((first, second)):
        parts[f"find {preset}"] = PlannedPart(45, partial(network, preset, 1))
        trace = partial(trace_part, preset, size, device, folder)
        parts[f"trace {preset}"] = PlannedPart(15, trace)
    parts["deformable layer"] = PlannedPart(90, partial(deform_part, size, device))
    for preset in size.trained:
        parts[f"training {preset}"] = PlannedPart(60, partial(training_part, preset, size, device))
    for preset in dict.fromkeys((first, second)):
        parts[f"find {preset}, batch {size.batches[-1]}"] = PlannedPart(
            30, partial(network, preset, size.batches[-1])
        )
    parts[f"training {size.trained[-1]} with its loader"] = PlannedPart(
        60, partial(loader_part, size.trained[-1], size, device)
    )
    for preset in dict.fromkeys((first, second)):
        parts[f"file to run lengths {preset}"] = PlannedPart(
            30, partial(network, preset, 1, scenario="end_to_end")
        )
    for preset in size.presets[2:]:
        parts[f"find {preset}"] = PlannedPart(45, partial(network, preset, 1))
    for preset in dict.fromkeys((first, second)):
        of_graph = partial(network, preset, 1, kind="options")
        parts[f"options {preset}"] = PlannedPart(150, of_graph)
    for preset in dict.fromkeys((first, second)):
        parts[f"compiled {preset}"] = PlannedPart(150, partial(network, preset, 1, kind="compiled"))
    return parts | _compiled_training(size, device)


def _compiled_training(size: Size, device: torch.device) -> dict[str, PlannedPart]:
    return {
        f"compiled training {preset}": PlannedPart(
            90, partial(training_part, preset, size, device, compiled=True)
        )
        for preset in size.compiled_training
    }


class PartError(Exception):
    """A part failed, took too long, or ended its process."""


class Worker:
    """A process that measures parts: one that hangs or dies takes no other with it.

    What a part leaves behind when it is cut off (modes of torch, a lost device) goes with its
    process; the next part begins in a new one.
    """

    def __init__(self, size: Size, device: torch.device, folder: Path | None, method: str) -> None:
        context = multiprocessing.get_context(method)
        self._pipe, theirs = context.Pipe()
        # Not a daemon: the loader of a training has processes of its own.
        self._process = context.Process(target=_serve, args=(theirs, size, str(device), folder))
        self._process.start()
        theirs.close()
        self._receive("the process", _START_SECONDS)

    def measure(self, name: str, seconds: float) -> Part:
        """Return the part.

        Raises:
            PartError: it failed or was not done in this time; then the process is gone.
        """
        self._pipe.send(name)
        outcome = self._receive(name, seconds)
        if isinstance(outcome, str):
            raise PartError(outcome)
        return outcome

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def _receive(self, name: str, seconds: float) -> Part | str:
        if not self._pipe.poll(seconds):
            self.close()
            raise PartError(f"{name}: not done within {seconds:.0f} s")
        try:
            outcome: Part | str = self._pipe.recv()
        except EOFError as error:
            self.close()
            raise PartError(f"{name}: its process ended ({self._process.exitcode})") from error
        return outcome


def _serve(pipe: Connection, size: Size, device: str, folder: Path | None) -> None:
    """Measure the parts whose names arrive; answer with the part, or the text of its error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", stream=sys.stderr)
    parts = parts_of(size, torch.device(device), folder)
    pipe.send("ready")
    while True:
        name = pipe.recv()
        try:
            pipe.send(parts[name].measure())
        except Exception as error:
            log.exception("%s failed", name)
            pipe.send(f"{type(error).__name__}: {error}")


def run_session(
    size: Size,
    device: torch.device,
    path: Path | None,
    *,
    names: Collection[str] = (),
    seconds: float = SECONDS,
    now: Callable[[], float] = time.perf_counter,
    method: str = "spawn",
) -> dict[str, object]:
    """Return the record of a session, written to `path` after every part.

    Without `names` the parts that the record at `path` has of this commit, device and size are
    kept. A part that fails or takes too long leaves its error, and the others go on.
    """
    start, folder = now(), None if path is None else path.parent
    record = _record_of(size, device)
    done: dict[str, Part] = _kept(path, record)
    skipped: dict[str, str] = {}
    worker: Worker | None = None
    for name, part in parts_of(size, device, folder).items():
        if (name not in names) if names else (name in done):
            continue
        left = seconds - (now() - start)
        if left <= 0:
            skipped[name] = f"no time left of {seconds:.0f} s"
            continue
        log.info("%s (%.0f s)", name, now() - start)
        try:
            if worker is None or not worker.alive:
                worker = Worker(size, device, folder, method)
            done[name] = worker.measure(name, min(part.seconds * size.patience, left))
        except PartError as error:
            skipped[name] = str(error)
        _write(record, done, skipped, now() - start, path)
    if worker is not None:
        worker.close()
    return _write(record, done, skipped, now() - start, path)


def _record_of(size: Size, device: torch.device) -> dict[str, object]:
    facts = asdict(environment(str(device)))
    return {"schema": SCHEMA, "environment": facts, "size": size.name}


def _kept(path: Path | None, record: Mapping[str, object]) -> dict[str, Part]:
    """Return the parts of an earlier session with the same code on the same device."""
    if path is None or not path.is_file():
        return {}
    earlier = json.loads(path.read_text(encoding="utf-8"))
    same = all(earlier.get(key) == record[key] for key in ("schema", "size"))
    facts, now = earlier["environment"], record["environment"]
    assert isinstance(now, dict)
    same &= all(facts[key] == now[key] for key in ("device", "commit", "dirty", "versions"))
    return dict(earlier["parts"]) if same and not now["dirty"] else {}


def _write(
    record: Mapping[str, object],
    done: Mapping[str, Part],
    skipped: Mapping[str, str],
    seconds: float,
    path: Path | None,
) -> dict[str, object]:
    whole = {**record, "seconds": seconds, "parts": done, "skipped": skipped}
    if path is not None:
        write_atomically(path, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    return whole


def file_name(device_name: str) -> str:
    """Return the record's file name: the device's name in small letters and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", device_name.lower()).strip("-") + ".json"


def main(arguments: list[str]) -> int:
    """Run the session, or print the table of a finished one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="small networks, for a CPU")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--parts", default="", help="names of parts, with commas; default: all")
    parser.add_argument("--out", type=Path, default=SOURCE_TREE / "reports" / "records")
    parser.add_argument("--table", type=Path, help="print the table of this record and stop")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", stream=sys.stderr)
    if given.table is not None:
        sys.stdout.write(table_of(json.loads(given.table.read_text(encoding="utf-8"))))
        return 0
    device, size = torch.device(given.device), SMALL if given.small else FULL
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("torch finds no CUDA device here; write --small --device cpu\n")
        return 2
    names = [name.strip() for name in given.parts.split(",") if name.strip()]
    unknown = set(names) - set(parts_of(size, device, None))
    if unknown:
        known = "\n  ".join(parts_of(size, device, None))
        sys.stderr.write(f"--parts: no part {', '.join(sorted(unknown))}; there are\n  {known}\n")
        return 2
    path = given.out / file_name(environment(given.device).device)
    record = run_session(size, device, path, names=names, seconds=given.seconds)
    sys.stdout.write(table_of(record))
    sys.stderr.write(f"{path}\n")
    return 0 if record["parts"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
