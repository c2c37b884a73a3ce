"""The kernels of one detection in order, with their start times: where the gaps are."""

import csv
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from runners.timing.images import draw_pictures
from tests.benchmarks.gpu_networks import detectors_of
from tests.benchmarks.gpu_size import Part, Size

_CALLS = 3


def trace_part(preset: str, size: Size, device: torch.device, folder: Path | None) -> Part:
    """Return busy and idle time of the fastest runtime; the events go to a CSV in `folder`."""
    arm = "cuda_graph bf16" if device.type == "cuda" else "eager AMP"
    detectors, failed = detectors_of(preset, 1, size, device, (arm,))
    if failed:
        raise RuntimeError(failed[arm])
    images = [picture.decoded for picture in draw_pictures()[:1]]
    for _ in range(_CALLS):
        detectors[arm].find(images)
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as recorded:
        for _ in range(_CALLS):
            detectors[arm].find(images)
    events = _events(recorded, device)
    if folder is not None:
        _write(events, folder / f"trace-{preset}-{device.type}.csv")
    first, last = events[0]["start_us"], max(e["start_us"] + e["us"] for e in events)
    busy = sum(event["us"] for event in events)
    return {
        "kind": "trace",
        "preset": preset,
        "arm": arm,
        "calls": _CALLS,
        "events": len(events) / _CALLS,
        "busy_us": busy / _CALLS,
        "wall_us": (last - first) / _CALLS,
    }


def _events(recorded: profile, device: torch.device) -> list[Mapping[str, float | str]]:
    """Kernels and copies on a GPU; the outermost operators on a CPU."""
    kind = torch.autograd.DeviceType.CUDA if device.type == "cuda" else None
    rows = [
        {"start_us": event.time_range.start, "us": event.time_range.elapsed_us(), "name": event.key}
        for event in recorded.events()
        if (event.device_type == kind if kind is not None else event.cpu_parent is None)
    ]
    return sorted(rows, key=lambda row: row["start_us"])


def _write(events: list[Mapping[str, float | str]], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=["start_us", "us", "name"])
        writer.writeheader()
        writer.writerows(events)
