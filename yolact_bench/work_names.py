"""The names of what lies in a work directory; packages name what only they write."""

from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.escape import is_printed

RESULTS = "results.jsonl"
CHECKPOINTS = "checkpoints"  # a folder for each train digest, with:
RUN, LOG, LAST, FINAL = "run.yaml", "log.jsonl", "last.pt", "final.pt"
PREDICTIONS = "predictions"  # a folder for each digest of detections or of a forward pass
RESAMPLES = "resamples"  # a file for each detect digest
REPORTS = "reports"  # a folder for each ablation
SWEEPS = "sweeps"  # a folder for each sweep
IMAGES = "images.json"  # digests of the images of data, beside its fingerprints
CACHE = "cache"  # what was read of the files of data sets; it can always be deleted
CONFIRMATION = "-confirm"  # behind a sweep's name: the ablation that repeats its best trials

# File systems hold names of 255 bytes; those of incomplete files are longer by a few letters.
_LONGEST = 200
# Dots begin the names of incomplete files; terminals and tables obey control characters.
NAME_RULE = f"1 to {_LONGEST} bytes without slashes and control characters, and no dot first"


def is_name(name: str) -> bool:
    """Return whether an ablation, arm, sweep or data set may be called so (`NAME_RULE`)."""
    if not name.strip() or name[0] == "." or "/" in name or "\\" in name:
        return False
    return is_printed(name) and len(name.encode()) <= _LONGEST


def quote(key: str) -> str:
    """Return a key for a message: as it is, but not what is long or what a terminal obeys."""
    return key if is_name(key) else f"{key[:40]!r}{'…' if len(key) > 40 else ''}"


def inside(folder: Path, name: str) -> Path:
    """Return what is called `name` in a folder of a work directory, and nowhere else.

    Raises:
        SpecError: not a name; as a path it could lead out of the folder.
    """
    if not is_name(name):
        raise SpecError(f"{folder}: {quote(name)} names nothing in it; a name has {NAME_RULE}")
    return folder / name
