"""The identity of every preset, arm and sweep: what was trained before is found again.

tests/golden/digests.json was recorded at commit e888bae by running this file there:
python tests/test_digests.py > digests.json
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from yolact_bench.resolve import resolve_run
from yolact_bench.spec.ablation import load
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import Run

ROOT = Path(__file__).parents[1]
# Arms whose component keeps an option of the baseline since then → its own value of the option.
KEEPING: Mapping[str, Mapping[str, object]] = {
    "nms/full/cross_class": {"nms.max_detections": None},
    "nms/smoke/cross_class": {"nms.max_detections": None},
    "nms/full/matrix": {"nms.top_k": 500},
    "nms/smoke/matrix": {"nms.top_k": 500},
}


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
    assert {name for name in recorded if now[name] != recorded[name]} == set(KEEPING)
    for name, own in KEEPING.items():
        assert now[name][:2] == recorded[name][:2]  # of training and forward pass
        resolved, _ = resolve_run(dict(runs())[name].changed(own), data_root=None, data=False)
        assert resolved.detect_digest == recorded[name][2]


if __name__ == "__main__":
    json.dump(digests(), sys.stdout, indent=0)
    sys.stdout.write("\n")
