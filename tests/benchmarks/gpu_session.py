"""One session on a GPU: what each runtime takes, the deformable kernel, training.

    python -m tests.benchmarks.gpu_session                       # writes reports/records/<gpu>.json
    python -m tests.benchmarks.gpu_session --table FILE.json     # its table again
    python -m tests.benchmarks.gpu_session --small --device cpu  # the same at a small size

Everything is timed in alternating rounds, and every session times its first arm twice: the
interval of that ratio must contain 1, or the session does not count. What is done is written
after every part; when the time is up the rest is left out, and said to be.
"""

import argparse
import json
import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from runners.system.environment import SOURCE_TREE, environment
from tests.benchmarks.gpu_networks import networks_part
from tests.benchmarks.gpu_operators import deform_part
from tests.benchmarks.gpu_size import FULL, SMALL, Part, Size
from tests.benchmarks.gpu_table import table_of
from tests.benchmarks.gpu_training import training_part
from yolact_bench.results.files import write_atomically

log = logging.getLogger(__name__)

SCHEMA = 1
SECONDS = 540.0  # of ten minutes, so that what is begun can end


def parts_of(size: Size, device: torch.device) -> dict[str, Callable[[], Part]]:
    """Return all parts by name, in order of importance."""
    networks = {
        f"{preset}, batch {batch}": lambda p=preset, b=batch: networks_part(p, b, size, device)
        for batch in size.batches
        for preset in size.presets
    }
    single = {name: part for name, part in networks.items() if name.endswith("batch 1")}
    rest = {name: part for name, part in networks.items() if name not in single}
    trained = {
        f"training {preset}": lambda p=preset: training_part(p, size, device)
        for preset in size.trained
    }
    deform = {"deformable layer": lambda: deform_part(size, device)}
    return {**single, **deform, **trained, **rest}


def run_session(
    size: Size,
    device: torch.device,
    path: Path | None,
    *,
    seconds: float = SECONDS,
    now: Callable[[], float] = time.perf_counter,
) -> dict[str, object]:
    """Return the record of a session, written to `path` after every part.

    A part that fails leaves its error and the others go on.
    """
    start = now()
    done: dict[str, Part] = {}
    skipped: dict[str, str] = {}
    record: dict[str, object] = {}
    for name, part in parts_of(size, device).items():
        if now() - start > seconds:
            skipped[name] = f"no time left of {seconds:.0f} s"
            continue
        log.info("%s (%.0f s)", name, now() - start)
        try:
            done[name] = part()
        except Exception as error:
            log.exception("%s failed", name)
            skipped[name] = f"{type(error).__name__}: {error}"
        record = {
            "schema": SCHEMA,
            "environment": asdict(environment(str(device))),
            "size": size.name,
            "seconds": now() - start,
            "parts": done,
            "skipped": skipped,
        }
        if path is not None:
            write_atomically(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    record["skipped"] = skipped
    if path is not None:
        write_atomically(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def file_name(device_name: str) -> str:
    """Return the record's file name: the device's name in small letters and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", device_name.lower()).strip("-") + ".json"


def main(arguments: list[str]) -> int:
    """Run the session, or print the table of a finished one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="small networks, for a CPU")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--out", type=Path, default=SOURCE_TREE / "reports" / "records")
    parser.add_argument("--table", type=Path, help="print the table of this record and stop")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", stream=sys.stderr)
    if given.table is not None:
        sys.stdout.write(table_of(json.loads(given.table.read_text(encoding="utf-8"))))
        return 0
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("torch finds no CUDA device here; write --small --device cpu\n")
        return 2
    path = given.out / file_name(environment(given.device).device)
    size = SMALL if given.small else FULL
    record = run_session(size, device, path, seconds=given.seconds)
    sys.stdout.write(table_of(record))
    sys.stderr.write(f"{path}\n")
    return 0 if record["parts"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
