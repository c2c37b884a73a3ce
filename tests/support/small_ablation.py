"""An ablation that trains in about a second, for tests of the whole flow."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.arms.train import ensure_trained
from runners.planning.plan import Plan, make_plan
from runners.timing.records import TimingLimits
from runners.tracking.tracker import Tracker
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.support.no_tracker import NoTracker
from yolact_bench.results.manifest import Manifest
from yolact_bench.spec.ablation import load

_TRAININGS = tempfile.TemporaryDirectory(prefix="trainings-")

SPEC = """\
# Does anything matter in three iterations?
schema: 1
name: small
base: yolact_tiny
set:
  image_size: 72
  precision: fp32
  batch_norm: train
  schedule: {name: steps, iterations: 3, batch_size: 2, lr: 0.003, warmup: 1, steps: [2]}
dataset: {name: shapes, train_images: 6, val_images: 3, size: 96}
baseline: k_4
changes: [protonet.k, nms, schedule.lr]
arms:
  k_4: {protonet.k: 4, schedule.lr: 0.001}
  k_2: {protonet.k: 2}
  sequential: {protonet.k: 4, schedule.lr: 0.001, nms: {name: sequential, grid_px: 72}}
"""


def write_spec(folder: Path, text: str = SPEC) -> Path:
    """Put a spec into `folder`."""
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def context(
    work_dir: Path, *, tracker: Tracker | None = None, retry_failed: bool = False
) -> AblationContext:
    """Return the context of an ablation on the CPU of this process."""
    return AblationContext(
        place=Workplace(work_dir=work_dir, device="cpu", workers=0, validate_every=0),
        tracker=tracker or NoTracker(),
        timing=TimingLimits(rounds=2, max_seconds=5.0),
        retry_failed=retry_failed,
    )


def plan_spec(spec: Path, at: AblationContext) -> Plan:
    """Return the plan of a spec."""
    return make_plan(
        load(spec),
        place=at.place,
        data_root=None,
        timing=at.timing,
        retry_failed=at.retry_failed,
    )


def run_spec(spec: Path, at: AblationContext) -> Manifest:
    """Plan and run a spec."""
    return run_ablation(plan_spec(spec, at), at, command="yolact-bench run small.yaml")


def train_once(unit: Unit, place: Workplace) -> None:
    """Put a unit's training into a work directory; it is made once in this process."""
    kept = replace(place, work_dir=Path(_TRAININGS.name))
    ensure_trained(unit, kept)
    source, target = (one.checkpoint_folder(unit.run) for one in (kept, place))
    shutil.copytree(source, target, dirs_exist_ok=True)
