"""The identity of every preset, arm and sweep: what was trained before is found again.

tests/golden/digests.json was recorded at commit e888bae by running this file there:
python tests/test_digests.py > digests.json
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from yolact_bench.resolve import resolve_run
from yolact_bench.spec.ablation import load
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import Run

ROOT = Path(__file__).parents[1]


def runs() -> Iterator[tuple[str, Run]]:
    """Yield a name and the run of every preset and of every arm of every spec, as written."""
    yield from PRESETS.items()
    for spec in sorted((ROOT / "ablations").glob("*.yaml")):
        for budget in ("full", "smoke"):
            for arm in load(spec, budget=budget).arms:
                yield f"{spec.stem}/{budget}/{arm.name}", arm.run


def digests() -> dict[str, list[str]]:
    """Return the three digests of every run, resolved without looking at files."""
    recorded = {}
    for name, run in runs():
        resolved, _ = resolve_run(run, data_root=None, data=False)
        recorded[name] = [resolved.train_digest, resolved.forward_digest, resolved.detect_digest]
    return recorded


def test_every_digest_is_the_one_that_was_recorded() -> None:
    """Of what there was then; a preset or spec that came later has no record."""
    recorded = json.loads((ROOT / "tests" / "golden" / "digests.json").read_text())
    now = digests()
    assert {name: now[name] for name in recorded} == recorded


if __name__ == "__main__":
    json.dump(digests(), sys.stdout, indent=0)
    sys.stdout.write("\n")
