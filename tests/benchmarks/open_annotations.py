"""Seconds and memory to open an annotation file of COCO's size, each time in a new process.

    python -m tests.benchmarks.open_annotations [--before FOLDER] [--rounds N] [--file FILE]

In each round once without a cache that could be used (cold), once with it (warm), and once with
the sources in FOLDER, such as another commit's. Without FILE one is written and deleted again.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.annotation_file import write_annotations
from tests.support.paths import ROOT

# Any version can run it: what a version does not know, such as a cache, it is not given.
_OPEN = """
import inspect, json, resource, sys, time
from pathlib import Path
from yolact_bench.data.annotations import read_annotations
from yolact_bench.published_datasets import COCO_CLASSES
known = inspect.signature(read_annotations).parameters
options = {"subset": False, "annotated": True, "split": "train", "size_of": lambda name: None}
options["cache"] = Path(sys.argv[2])
options = {name: value for name, value in options.items() if name in known}
start, cpu = time.perf_counter(), time.process_time()
annotations = read_annotations(Path(sys.argv[1]), COCO_CLASSES, **options)
peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = [time.perf_counter() - start, time.process_time() - cpu]
print(json.dumps([*times, peak_kib / 2**20, len(annotations.images)]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = given.file or write_annotations(Path(folder) / "notes.json")
        cache = Path(folder) / "cache"
        for number in range(given.rounds):
            if given.before:
                _print(number, "before", given.before, file, cache)
            shutil.rmtree(cache, ignore_errors=True)
            _print(number, "cold", ROOT, file, cache)
            _print(number, "warm", ROOT, file, cache)


def _print(number: int, name: str, root: Path, file: Path, cache: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", _OPEN, str(file), str(cache)]
    output = subprocess.run(
        command, env=environment, cwd=root, check=True, capture_output=True, text=True
    ).stdout
    seconds, cpu, peak, images = json.loads(output)
    line = f"{seconds:6.1f} s ({cpu:.1f} s of CPU), peak {peak:.2f} GiB, {images:,} images"
    print(f"{number}: {name:6} {line}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
