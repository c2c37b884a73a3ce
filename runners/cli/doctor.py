"""What this machine offers a run, and what would be in its way."""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runners.system.environment import (
    cpu_name,
    gpu_driver,
    nearest_folder,
    package_versions,
    supported_versions,
    unsupported_packages,
)
from runners.tracking.storage_checks import (
    GIB,
    Check,
    check_coco_data,
    check_mlflow_store,
    check_with_remedy,
    check_work_dir,
)
from yolact_bench.results.device_facts import DeviceFacts, GpuFacts, HostFacts

if TYPE_CHECKING:
    from runners.timing.device.watch import DeviceWatch

_LITTLE_MEMORY_GIB = 4.0
_WATCHED_S = 0.6  # longer than a watch waits between two samples


def diagnose(work_dir: Path, data_root: Path | None) -> list[Check]:
    """Return every check, in the order in which a run would meet what they look at.

    A check that itself breaks is a finding too: it fails with what went wrong.
    """
    work = nearest_folder(work_dir)
    checks: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("packages", _packages),
        ("versions", _versions),
        ("operators", _operators),
        ("compiler", _compiler),
        ("GPU", _gpu),
        ("CPU", _cpu),
        ("timing", _timing),
        ("work directory", partial(check_work_dir, work)),
        ("MLflow store", partial(check_mlflow_store, work_dir)),
        ("COCO data", partial(check_coco_data, data_root)),
    ]
    return [check for name, find in checks for check in _guard(name, find)]


def _guard(name: str, find: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from find()
    except Exception as error:  # any: a broken installation breaks in its own ways
        detail = f"{type(error).__name__}: {error}"
        yield Check(name, "fail", detail, "reinstall the packages")


def _packages() -> Iterator[Check]:
    versions = package_versions()
    detail = ", ".join(f"{package} {number}" for package, number in versions.items())
    missing = {"torch", "torchvision", "numpy", "pycocotools"} - set(versions)
    remedy = f"pip install {' '.join(sorted(missing))}" if missing else ""
    yield check_with_remedy("packages", detail, remedy, state="fail")


def _versions() -> Iterator[Check]:
    supported, unsupported = (
        ", ".join(f"{name} {version}" for name, version in versions.items())
        for versions in (supported_versions(), unsupported_packages())
    )
    detail = f"supported: {supported}" + (f"; installed: {unsupported}" if unsupported else "")
    remedy = "install versions in the supported ranges" if unsupported else ""
    yield check_with_remedy("versions", detail, remedy)


def _compiler() -> Iterator[Check]:
    """Build a small program as a compiled runtime would."""
    import torch

    from yolact_bench.runtime.compiler import compiler_probe

    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        fault = compiler_probe(device)
        remedy = "needed by compiled runtimes alone: install a C++ compiler" if fault else ""
        detail = fault or "a compiled program builds and runs"
        yield check_with_remedy(f"compiler for {device}", detail, remedy)
    if torch.cuda.is_available():
        fault = compiler_probe("cuda", cpp_launches=True)
        remedy = "compiled runs launch kernels from Python, which takes longer" if fault else ""
        detail = fault or "a compiled program launches its kernels from C++"
        yield check_with_remedy("launches from C++", detail, remedy)


def _operators() -> Iterator[Check]:
    """Run the two compiled operators that a torchvision of another torch build lacks."""
    import torch
    from torchvision.ops import deform_conv2d, nms

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]], device=device)
        boxes_left = nms(boxes, torch.tensor([0.9, 0.8], device=device), 0.5)
        pixels = torch.ones(1, 1, 4, 4, device=device)
        weight = torch.ones(1, 1, 3, 3, device=device)
        offset = torch.zeros(1, 18, 2, 2, device=device)
        convolved = deform_conv2d(pixels, offset, weight)
        # IoU 1.9 / 2 > 0.5 leaves one box; nine ones under nine weights of one sum to 9.
        correct = boxes_left.tolist() == [0] and bool((convolved == 9).all())
        detail = f"nms and deform_conv2d {'run' if correct else 'give wrong numbers'}"
        remedy = "" if correct else "reinstall torch and torchvision from one index"
        yield check_with_remedy(f"operators on {device}", detail, remedy, state="fail")


def _gpu() -> Iterator[Check]:
    import torch

    if not torch.cuda.is_available():
        remedy = "fine for yolact_tiny; the published models need a GPU to train"
        yield Check("GPU", "warn", "none that torch can use", remedy)
        return
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / GIB
        detail = f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB, driver {gpu_driver()}"
        yield Check(f"GPU {index}", "ok", detail)


def _timing() -> Iterator[Check]:
    """Watch every device for a moment as a session of timing would."""
    import torch

    from runners.timing.device.watch import watch

    for index in range(torch.cuda.device_count()) if torch.cuda.is_available() else ():
        torch.zeros(1, device=f"cuda:{index}")  # as a session does, hold a context
        yield _would_count(f"timing on GPU {index}", _watch_device(watch(f"cuda:{index}")))
    yield _would_count("timing on the CPU", _watch_device(watch("cpu")))


def _watch_device(session: "DeviceWatch") -> DeviceFacts:
    with session:
        time.sleep(_WATCHED_S)
        session.look()
    return session.facts()


def _would_count(name: str, facts: DeviceFacts) -> Check:
    """Return whether times measured now would count, with the state of the device."""
    state = _gpu_state(facts.gpu) if facts.gpu is not None else _host_state(facts.host)
    reason = facts.invalid or "; ".join(facts.warnings)
    if facts.invalid:
        verdict, remedy = "times would not count now", "let it cool, or wait until it is idle"
    elif facts.warnings:
        verdict, remedy = "times would count, with a warning", "stop other programs before timing"
    else:
        verdict, remedy = "times would count now", ""
    detail = "; ".join(part for part in (verdict, reason, state) if part)
    return check_with_remedy(name, detail, remedy)


def _gpu_state(gpu: GpuFacts) -> str:
    now = gpu.after
    reasons = ", ".join(now.reasons) or "not throttled"
    return (
        f"SM {_number(now.sm_mhz)} of {_number(gpu.max_sm_mhz)} MHz, {_number(now.power_w)} of "
        f"{_number(gpu.power_limit_w)} W, {_number(now.temperature_c)} °C, {reasons}, MIG "
        f"{gpu.mig or 'unknown'}"
    )


def _host_state(host: HostFacts) -> str:
    others = "unknown" if host.others_cores is None else f"{host.others_cores:.1f}"
    governor = f", governor {host.governor}" if host.governor else ""
    return f"CPU cores in use by other programs: {others} of {host.cores}{governor}"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"


def _cpu() -> Iterator[Check]:
    import torch

    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = load > 0.5 * cores
    threads = f"{torch.get_num_threads()} torch threads"
    detail = f"{cpu_name()}, {cores} cores, {threads}, load {load:.1f}"
    remedy = "times on a CPU need a quiet machine; stop other programs" if busy else ""
    yield check_with_remedy("CPU", detail, remedy)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    remedy = "lower the batch size and the workers" if pages < _LITTLE_MEMORY_GIB else ""
    yield check_with_remedy("memory", f"{pages:.0f} GiB", remedy)
