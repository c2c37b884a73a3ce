"""What the disks of this machine offer a run: work directory, MLflow store, COCO."""

import re
import shutil
import sqlite3
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from runners.tracking.server import store_uri
from yolact_bench.escape import without_passwords

State = Literal["ok", "warn", "fail"]

GIB = 2**30
_LITTLE_DISK_GIB, _NO_DISK_GIB = 10.0, 1.0
_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "ceph"}
    | {"beegfs", "glusterfs", "9p", "afs", "fuse.sshfs"}
)
_COCO_FOLDERS = ("train2017", "val2017")
_COCO_FILES = ("annotations/instances_train2017.json", "annotations/instances_val2017.json")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding about the machine, and the remedy if it is in the way of a run."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def check_with_remedy(name: str, detail: str, remedy: str, *, state: State = "warn") -> Check:
    """Return a check in `state` if there is a remedy, else one that is ok."""
    return Check(name, state if remedy else "ok", detail, remedy)


def check_work_dir(folder: Path) -> Iterator[Check]:
    """Yield the space, the rights and the file system of a folder."""
    free = shutil.disk_usage(folder).free / GIB
    state: State = "ok" if free >= _LITTLE_DISK_GIB else "warn" if free >= _NO_DISK_GIB else "fail"
    remedy = "" if state == "ok" else "free some space, or choose another --work-dir"
    yield Check("disk", state, f"{free:.0f} GiB free", remedy)
    try:
        with tempfile.TemporaryFile(dir=folder):
            yield Check("work directory", "ok", f"{folder} is writable")
    except OSError as error:
        detail = f"{folder} is not writable ({error.strerror})"
        remedy = "choose another --work-dir, or change its owner"
        yield Check("work directory", "fail", detail, remedy)
    system = file_system(folder)
    remote = system in _NETWORK_FILE_SYSTEMS
    remedy = "databases break on it; choose a local --work-dir or set MLFLOW_TRACKING_URI"
    detail = f"{system}{', over the network' if remote else ''}"
    yield check_with_remedy("file system", detail, remedy if remote else "")


def check_mlflow_store(work_dir: Path) -> Iterator[Check]:
    """Yield whether MLflow's store answers."""
    uri, remedy = store_uri(work_dir), ""
    try:
        detail = f"{uri} {_reach(uri)}"
    except (OSError, HTTPException, sqlite3.Error) as error:
        remedy = "start the server, or unset MLFLOW_TRACKING_URI; runs continue without it"
        detail = f"{uri} cannot be reached ({error})"
    yield check_with_remedy("MLflow store", without_passwords(detail), remedy)


def _reach(uri: str) -> str:
    """Return what the store answers, without creating it.

    Raises:
        OSError, HTTPException, sqlite3.Error: no answer.
    """
    if uri.startswith(("http://", "https://")):
        # urllib takes what stands before an @ for the host; whether a server lives is no secret.
        address = re.sub("//[^/]*@", "//", uri.rstrip("/"))
        with urllib.request.urlopen(f"{address}/health", timeout=3) as answer:
            return f"answers {answer.status}"
    if not uri.startswith("sqlite:///"):
        return "can only be opened by MLflow"
    file = Path(uri.removeprefix("sqlite:///"))
    if not file.exists():
        return "will be created by the first run"
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=3)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.close()
    return f"opens, {tables} tables"


def check_coco_data(data_root: Path | None) -> Iterator[Check]:
    """Yield whether COCO is complete."""
    if data_root is None:
        remedy = "only coco and sbd need one; give --data-root or set YOLACT_DATA"
        yield Check("COCO data", "warn", "no data root given", remedy)
        return
    missing = [name for name in _COCO_FOLDERS if not (data_root / name).is_dir()]
    missing += [name for name in _COCO_FILES if not (data_root / name).is_file()]
    detail = f"{data_root}: missing {', '.join(missing)}" if missing else f"{data_root} is complete"
    remedy = "unpack COCO 2017 so that the data root contains these" if missing else ""
    yield check_with_remedy("COCO data", detail, remedy)


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds `folder`, or "unknown"."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    place, depth, system_here = folder.resolve(), -1, "unknown"
    for line in mounts:
        _, point, system, *_ = line.split()
        mounted_at = Path(point.replace("\\040", " "))
        # >=: of two mounts at one place, the later hides the earlier.
        if place.is_relative_to(mounted_at) and len(mounted_at.parts) >= depth:
            depth, system_here = len(mounted_at.parts), system
    return system_here
