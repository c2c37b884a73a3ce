"""Predictions of other frameworks: from result files, or a command that writes them."""

import contextlib
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runners.arms.external.command import run_command
from runners.arms.external.results import adopt
from runners.evaluation.files import BOX_FILE, MASK_FILE, PredictionKey, is_complete
from runners.units.unit import ExternalUnit
from runners.units.workplace import Workplace
from runners.workdir.dataset_files import write_split
from yolact_bench.data import Dataset
from yolact_bench.errors import ArmError
from yolact_bench.results.files import atomic_folder, write_atomically
from yolact_bench.spec.external import Command

log = logging.getLogger(__name__)

LOG_FILE = "output.log"
_RESULTS = {"segm": MASK_FILE, "bbox": BOX_FILE, "latency": "latency.json"}


def predict_external(unit: ExternalUnit, place: Workplace) -> Path:
    """Return the folder of the unit's predictions, made unless they are there.

    Raises:
        SpecError: the files are not results of the evaluation images.
        ArmError: the command failed.
    """
    dataset = place.datasets.open(unit.data, unit.split)
    folder = place.predictions(unit.detect_digest)
    key = PredictionKey(unit.detect_digest, unit.external.origin, len(dataset))
    if is_complete(folder, key):
        return folder
    if not isinstance(unit.external.entry, Command):
        adopt(unit.external.files(unit.seed), dataset, folder, key)
        return folder
    with _scratch(unit, place) as out:
        adopt(_run(unit, unit.external.entry, dataset, out, place), dataset, folder, key)
    return folder


def _run(
    unit: ExternalUnit, command: Command, dataset: Dataset, out: Path, place: Workplace
) -> dict[str, Path]:
    """Run the command and return the files that it wrote."""
    images, annotations = data_files(unit, dataset, place)
    values = {
        "python": unit.external.python(sys.executable),
        "images": str(images.absolute()),
        "annotations": str(annotations.absolute()),
        "out": str(out),
        "device": place.device,
        "seed": str(unit.seed),
    }
    log_file = out / LOG_FILE
    log.info("%s: %s; its output: %s", unit.title, command.text, log_file)
    run_command(
        unit.external.words(values),
        folder=unit.external.folder,
        log_file=log_file,
        timeout=60.0 * command.timeout_minutes,
    )
    files = {kind: out / name for kind, name in _RESULTS.items() if (out / name).is_file()}
    if "segm" not in files:
        raise ArmError(
            "no_results",
            f"the command succeeded, but wrote no {_RESULTS['segm']}; have it do so in {{out}}",
        )
    return files


@contextlib.contextmanager
def _scratch(unit: ExternalUnit, place: Workplace) -> Iterator[Path]:
    """Yield an empty folder that is removed afterwards, whatever happens.

    Leftovers of a killed run are removed first: a command that outlived it has nowhere to write.
    """
    parent = place.work_dir.absolute() / "external"
    parent.mkdir(parents=True, exist_ok=True)
    for stale in parent.glob(f"{unit.detect_digest}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    name = f"{unit.detect_digest}-"
    with tempfile.TemporaryDirectory(prefix=name, dir=parent, ignore_cleanup_errors=True) as out:
        yield Path(out)


def data_files(unit: ExternalUnit, dataset: Dataset, place: Workplace) -> tuple[Path, Path]:
    """Return the folder of the evaluation images and their annotations, as files.

    Images that are drawn are written to work/data/<fingerprint> once. Annotations of which only
    some classes are evaluated, or with findings, are written as they were read.
    """
    files = unit.data.split(unit.split).files
    folder = place.work_dir / "data" / unit.eval_data
    written = folder / "annotations" / f"instances_{unit.split}.json"
    if files is not None:
        if not unit.data.subset and not dataset.findings:
            return files
        if not written.is_file():
            write_atomically(written, json.dumps(dataset.ground_truth()))
        return files[0], written
    if not written.is_file():
        for stale in folder.parent.glob(f".{folder.name}.*.tmp"):  # of a run that was killed
            shutil.rmtree(stale)
        with atomic_folder(folder) as partial:
            write_split(dataset, unit.split, partial)
    return folder / "images" / unit.split, written
