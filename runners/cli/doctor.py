"""What this machine offers a run, and what would stand in its way. Reads, never changes."""

import os
import shutil
import sqlite3
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runners.system.environment import cpu_name, gpu_driver, package_versions
from runners.tracking.writer import store_uri
from yolact_bench.results.device_facts import DeviceFacts, GpuFacts, HostFacts

if TYPE_CHECKING:
    from runners.timing.device.watch import DeviceWatch

State = Literal["ok", "warn", "fail"]

_GIB = 2**30
_LITTLE_DISK_GIB, _NO_DISK_GIB = 10.0, 1.0
_LITTLE_MEMORY_GIB = 4.0
_WATCHED_S = 0.6  # longer than a watch waits between two samples
_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "ceph"}
    | {"beegfs", "glusterfs", "9p", "afs", "fuse.sshfs"}
)
_COCO_FOLDERS = ("train2017", "val2017")
_COCO_FILES = ("annotations/instances_train2017.json", "annotations/instances_val2017.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One fact about the machine, and what to do where it is in the way."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def diagnose(work_dir: Path, data_root: Path | None) -> list[Check]:
    """Return every check, in the order in which a run would meet what they look at.

    A check that itself breaks is a finding too: it fails with what went wrong.
    """
    work = _nearest_folder(work_dir)
    checks: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("packages", _packages),
        ("operators", _operators),
        ("GPU", _gpu),
        ("CPU", _cpu),
        ("timing", _timing),
        ("work directory", partial(_work_dir, work)),
        ("MLflow store", partial(_mlflow_store, work_dir)),
        ("COCO data", partial(_coco_data, data_root)),
    ]
    return [check for name, find in checks for check in _guarded(name, find)]


def _guarded(name: str, find: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from find()
    except Exception as error:  # any: a broken installation breaks in its own ways
        detail = f"{type(error).__name__}: {error}"
        yield Check(name=name, state="fail", detail=detail, remedy="reinstall the packages")


def _packages() -> Iterator[Check]:
    versions = package_versions()
    detail = ", ".join(f"{package} {number}" for package, number in versions.items())
    missing = {"torch", "torchvision", "numpy", "pycocotools"} - set(versions)
    if missing:
        remedy = f"pip install {' '.join(sorted(missing))}"
        yield Check(name="packages", state="fail", detail=detail, remedy=remedy)
    else:
        yield Check(name="packages", state="ok", detail=detail)


def _operators() -> Iterator[Check]:
    """Run the two compiled operators that a torchvision of another torch build lacks."""
    import torch
    from torchvision.ops import deform_conv2d, nms

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]], device=device)
        kept = nms(boxes, torch.tensor([0.9, 0.8], device=device), 0.5)
        pixels, weight = (
            torch.ones(1, 1, 4, 4, device=device),
            torch.ones(1, 1, 3, 3, device=device),
        )
        offset = torch.zeros(1, 18, 2, 2, device=device)
        convolved = deform_conv2d(pixels, offset, weight)
        # IoU 1.9 / 2 > 0.5 leaves one box; nine ones under nine weights of one sum to 9.
        right = kept.tolist() == [0] and bool((convolved == 9).all())
        yield Check(
            name=f"operators on {device}",
            state="ok" if right else "fail",
            detail=f"nms and deform_conv2d {'run' if right else 'give wrong numbers'}",
            remedy="" if right else "reinstall torch and torchvision from one index",
        )


def _gpu() -> Iterator[Check]:
    import torch

    if not torch.cuda.is_available():
        yield Check(
            name="GPU",
            state="warn",
            detail="none that torch can use",
            remedy="fine for yolact_tiny; the published models need a GPU to train",
        )
        return
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / _GIB
        detail = f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB, driver {gpu_driver()}"
        yield Check(name=f"GPU {index}", state="ok", detail=detail)


def _timing() -> Iterator[Check]:
    """Watch every device for a moment as a session of timing would."""
    import torch

    from runners.timing.device.watch import watch

    for index in range(torch.cuda.device_count()) if torch.cuda.is_available() else ():
        torch.zeros(1, device=f"cuda:{index}")  # as a session does, hold a context
        yield _would_count(f"timing on GPU {index}", _watched(watch(f"cuda:{index}")))
    yield _would_count("timing on the CPU", _watched(watch("cpu")))


def _watched(session: "DeviceWatch") -> DeviceFacts:
    with session:
        time.sleep(_WATCHED_S)
        session.look()
    return session.facts()


def _would_count(name: str, facts: DeviceFacts) -> Check:
    """Say whether times taken now would count, and what the device told."""
    told = _gpu_words(facts.gpu) if facts.gpu is not None else _host_words(facts.host)
    found = facts.invalid or "; ".join(facts.warnings)
    if facts.invalid:
        verdict, remedy = "times would not count now", "let it cool, or wait until it is free"
    elif facts.warnings:
        verdict, remedy = "times would count, with a warning", "stop other programs before timing"
    else:
        verdict, remedy = "times would count now", ""
    detail = "; ".join(words for words in (verdict, found, told) if words)
    return Check(name=name, state="warn" if found else "ok", detail=detail, remedy=remedy)


def _gpu_words(gpu: GpuFacts) -> str:
    now = gpu.after
    reasons = ", ".join(now.reasons) or "nothing holds it back"
    return (
        f"SM {_number(now.sm_mhz)} of {_number(gpu.max_sm_mhz)} MHz, {_number(now.power_w)} of "
        f"{_number(gpu.power_limit_w)} W, {_number(now.temperature_c)} °C, {reasons}, MIG "
        f"{gpu.mig or 'unknown'}"
    )


def _host_words(host: HostFacts) -> str:
    others = "unknown" if host.others_cores is None else f"{host.others_cores:.1f}"
    governor = f", governor {host.governor}" if host.governor else ""
    return f"CPU cores kept busy by others: {others} of {host.cores}{governor}"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"


def _cpu() -> Iterator[Check]:
    import torch

    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = load > 0.5 * cores
    yield Check(
        name="CPU",
        state="warn" if busy else "ok",
        detail=f"{cpu_name()}, {cores} cores, {torch.get_num_threads()} torch threads, "
        f"load {load:.1f}",
        remedy="times on a CPU need a quiet machine; stop other programs" if busy else "",
    )
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB
    little = pages < _LITTLE_MEMORY_GIB
    yield Check(
        name="memory",
        state="warn" if little else "ok",
        detail=f"{pages:.0f} GiB",
        remedy="lower the batch size and the workers" if little else "",
    )


def _work_dir(folder: Path) -> Iterator[Check]:
    free = shutil.disk_usage(folder).free / _GIB
    state: State = "ok" if free >= _LITTLE_DISK_GIB else "warn" if free >= _NO_DISK_GIB else "fail"
    remedy = "" if state == "ok" else "free some space, or choose another --work-dir"
    yield Check(name="disk", state=state, detail=f"{free:.0f} GiB free", remedy=remedy)
    try:
        with tempfile.TemporaryFile(dir=folder):
            yield Check(name="work directory", state="ok", detail=f"{folder} is writable")
    except OSError as error:
        detail = f"{folder} is not writable ({error.strerror})"
        remedy = "choose another --work-dir, or change its owner"
        yield Check(name="work directory", state="fail", detail=detail, remedy=remedy)
    system = file_system(folder)
    remote = system in _NETWORK_FILE_SYSTEMS
    yield Check(
        name="file system",
        state="warn" if remote else "ok",
        detail=f"{system}{', over the network' if remote else ''}",
        remedy="databases break there: local --work-dir, or MLFLOW_TRACKING_URI" if remote else "",
    )


def _mlflow_store(work_dir: Path) -> Iterator[Check]:
    uri = store_uri(work_dir)
    try:
        detail = _reach(uri)
    except (OSError, sqlite3.Error, urllib.error.URLError) as error:
        remedy = "start the server, or unset MLFLOW_TRACKING_URI; runs go on without it"
        detail = f"{uri} cannot be reached ({error})"
        yield Check(name="MLflow store", state="warn", detail=detail, remedy=remedy)
    else:
        yield Check(name="MLflow store", state="ok", detail=f"{uri} {detail}")


def _reach(uri: str) -> str:
    """Return how the store answered, without creating it.

    Raises:
        OSError, sqlite3.Error: it did not.
    """
    if uri.startswith(("http://", "https://")):
        with urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=3) as answer:
            return f"answers {answer.status}"
    if not uri.startswith("sqlite:///"):
        return "is of a kind that only MLflow can open"
    file = Path(uri.removeprefix("sqlite:///"))
    if not file.exists():
        return "will be made by the first run"
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=3)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.close()
    return f"opens, {tables} tables"


def _coco_data(data_root: Path | None) -> Iterator[Check]:
    if data_root is None:
        yield Check(
            name="COCO data",
            state="warn",
            detail="no data root given",
            remedy="only `coco` and `sbd` need one: --data-root, or YOLACT_DATA",
        )
        return
    missing = [name for name in _COCO_FOLDERS if not (data_root / name).is_dir()]
    missing += [name for name in _COCO_FILES if not (data_root / name).is_file()]
    yield Check(
        name="COCO data",
        state="warn" if missing else "ok",
        detail=f"{data_root}: missing {', '.join(missing)}" if missing else f"{data_root} is whole",
        remedy="unpack COCO 2017 so that these lie below the data root" if missing else "",
    )


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds `folder`, or "unknown"."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    place, best, found = folder.resolve(), -1, "unknown"
    for line in mounts:
        _, point, system, *_ = line.split()
        mounted_at = Path(point.replace("\\040", " "))
        # >=: of two mounts at one place, the later hides the earlier.
        if place.is_relative_to(mounted_at) and len(mounted_at.parts) >= best:
            best, found = len(mounted_at.parts), system
    return found


def _nearest_folder(path: Path) -> Path:
    """Return the folder, or of those above it the first that exists."""
    place = path.resolve()
    while not place.is_dir():
        place = place.parent
    return place
