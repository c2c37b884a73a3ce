"""The script that measures on a GPU: its flow with parts that cost nothing, and all of it small."""

import json
import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from runners.system.environment import environment
from tests.benchmarks import gpu_session
from tests.benchmarks.gpu_networks import _GPU_ARMS, GRAPH, REFERENCE, build_arm
from tests.benchmarks.gpu_session import PlannedPart, file_name, main, parts_of, run_session
from tests.benchmarks.gpu_size import FULL, SMALL
from tests.benchmarks.gpu_table import table_of
from yolact_bench.build import build_network
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.presets import preset

CPU = torch.device("cpu")


def network(**changes: object) -> dict[str, object]:
    arm = {
        "median_ms": 6.0,
        "interval_ms": [5.9, 6.1],
        "images_per_second": 166.7,
        "stages_ms": {"backbone": 4.0},
        "times_as_fast": 1.0,
        "times_as_fast_interval": [1.0, 1.0],
    }
    graph = {**arm, "median_ms": 1.2, "times_as_fast": 5.0, "times_as_fast_interval": [4.9, 5.1]}
    return {
        "kind": "network",
        "preset": "yolact_r50",
        "batch": 1,
        "scenario": "detector",
        "twin": {"ratio": 1.001, "interval": [0.999, 1.003]},
        "invalid": "",
        "arms": {"eager fp32": arm, "cuda_graph bf16": graph},
        "failed": {},
        **changes,
    }


def test_every_part_is_written_when_it_is_done_and_late_ones_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "record.json", iter(float(n) for n in range(0, 1000, 30))

    def part() -> dict[str, object]:
        before = len(json.loads(path.read_text())["parts"]) if path.exists() else 0
        return network(done_before=before)

    def failing() -> dict[str, object]:
        raise RuntimeError("no such kernel")

    calls = {"a": part, "broken": failing, "b": part, "late": part, "later": part}
    parts = {name: PlannedPart(60.0, call) for name, call in calls.items()}
    monkeypatch.setattr(gpu_session, "parts_of", lambda size, device, folder: parts)
    record = run_session(SMALL, CPU, path, seconds=250.0, now=lambda: next(clock), method="fork")

    stored = json.loads(path.read_text())
    assert list(stored["parts"]) == ["a", "b"]
    assert stored["skipped"]["broken"] == "RuntimeError: no such kernel"
    assert stored["skipped"]["later"].startswith("no time left")
    # What was done before the second was on disk.
    assert [stored["parts"][name]["done_before"] for name in "ab"] == [0, 1]
    assert stored["parts"] == record["parts"]


def test_a_part_that_takes_too_long_is_given_up_and_the_next_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless() -> dict[str, object]:
        while True:
            time.sleep(0.01)

    def dying() -> dict[str, object]:
        os.kill(os.getpid(), signal.SIGKILL)
        return network()

    calls = {"endless": endless, "dying": dying, "quick": network}
    parts = {name: PlannedPart(0.2 if name == "endless" else 10.0, c) for name, c in calls.items()}
    monkeypatch.setattr(gpu_session, "parts_of", lambda size, device, folder: parts)
    record = run_session(SMALL, CPU, tmp_path / "record.json", method="fork")
    assert record["skipped"] == {
        "endless": "endless: not done within 1 s",  # on a CPU, with five times the patience
        "dying": "dying: its process ended (-9)",
    }
    assert list(record["parts"]) == ["quick"]  # type: ignore[call-overload]


def test_the_same_command_does_what_is_left_and_names_do_parts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "record.json", tmp_path / "calls"

    def part(name: str) -> dict[str, object]:
        with calls.open("a") as file:
            file.write(name)
        if calls.read_text() == "ab":
            raise RuntimeError("cut")
        return network()

    parts = {name: PlannedPart(10.0, partial(part, name)) for name in "abc"}
    monkeypatch.setattr(gpu_session, "parts_of", lambda size, device, folder: parts)
    clean = replace(environment("cpu"), dirty=False)
    monkeypatch.setattr(gpu_session, "environment", lambda device: clean)
    run_session(SMALL, CPU, path, method="fork")
    record = run_session(SMALL, CPU, path, method="fork")
    assert calls.read_text() == "abcb"
    assert set(record["parts"]) == {"a", "b", "c"} and record["skipped"] == {}  # type: ignore[call-overload]
    run_session(SMALL, CPU, path, names=["c"], method="fork")
    assert calls.read_text() == "abcbc"
    monkeypatch.setattr(gpu_session, "environment", lambda _: replace(clean, commit="another"))
    run_session(SMALL, CPU, path, method="fork")
    assert calls.read_text() == "abcbcabc"  # nothing is kept of another commit


def test_a_part_that_does_not_exist_is_named_beside_those_that_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--small", "--device", "cpu", "--parts", "micor"]) == 2
    assert "no part micor" in (text := capsys.readouterr().err) and "micro" in text


def test_the_full_session_fits_ten_minutes_up_to_the_compiled_arms() -> None:
    parts = parts_of(FULL, CPU, None)
    names = list(parts)
    assert names[:2] == ["micro", "gate"]  # what decides designs, and whether results are right
    assert {"find yolact_r50", "find yolact_plus_r50", "find yolact_plus_r101"} <= set(names)
    assert {"deformable layer", "training yolact_r50", "training yolact_plus_r50"} <= set(names)
    assert {"find yolact_r50, batch 8", "file to run lengths yolact_plus_r50"} <= set(names)
    assert [name.startswith("compiled") for name in names[-3:]] == [True, True, True]
    assert [name.startswith("options") for name in names[-5:-3]] == [True, True]
    heavy = set(names[-5:])  # what compiles, which a cut session loses
    assert sum(p.seconds for name, p in parts.items() if name not in heavy) <= 700
    runtimes = [arm.runtime["name"] for arm in _GPU_ARMS.values() if not arm.shares]
    assert runtimes == ["eager", "eager", "compiled", *["cuda_graph"] * 3]
    assert {arm.shares for arm in _GPU_ARMS.values()} - {""} <= set(_GPU_ARMS)
    assert next(iter(_GPU_ARMS)) == REFERENCE


@pytest.mark.parametrize(("name", "in_place"), [(GRAPH, True), (f"{GRAPH}, rows in order", False)])
def test_one_arm_puts_the_rows_of_the_head_in_order_as_before(name: str, in_place: bool) -> None:
    pytest.importorskip("triton")
    arm = _GPU_ARMS[name]
    changes = {"runtime": dict(arm.runtime), "deform": {"name": arm.deform}}
    run = resolve_architecture(preset("yolact_tiny").changed(changes))
    with torch.device("meta"):
        network = build_network(run, initial=False)
    program = build_arm(run, network, arm, torch.device("meta")).network
    assert isinstance(program, InferenceNetwork)
    assert (program.rows is not None) is in_place


def test_the_table_says_what_was_aimed_at_and_whether_the_session_counts() -> None:
    """1.2 ms ≤ 1.3 ms and 5 × ≥ 4 ×; a twin that differs is stated in place of its mark."""
    env = {
        "device": "NVIDIA H200",
        "driver": "575",
        "os": "Linux",
        "versions": {"torch": "2.11"},
        "commit": "c0ffee",
        "dirty": False,
    }
    doubtful = network(batch=8, invalid="eager fp32 timed twice differs from itself")
    record = {
        "environment": env,
        "size": "full",
        "skipped": {"training": "no time left"},
        "parts": {"one": network(), "two": doubtful},
    }
    table = table_of(record)
    assert table.startswith("### NVIDIA H200\n")
    assert (
        "| yolact_r50 | detector | 1 | cuda_graph bf16 | 1.200 [5.900, 6.100] | 5.00 [4.90, 5.10]"
        in table
    )
    assert "1.0010 [0.9990, 1.0030] |  | ✓ |" in table
    assert "differs from itself" in table
    assert "Left out: training (no time left)." in table


def test_a_record_is_named_after_its_device() -> None:
    assert file_name("NVIDIA H200") == "nvidia-h200.json"
    assert file_name("AMD EPYC (CPU)") == "amd-epyc-cpu.json"


def test_without_a_gpu_the_full_session_says_what_to_write(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    assert "--small --device cpu" in capsys.readouterr().err


@pytest.mark.slow
def test_all_of_it_runs_small_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--small", "--device", "cpu", "--out", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("*.json")
    record = json.loads(file.read_text())
    assert record["skipped"] == {}
    assert set(record["parts"]) == set(parts_of(SMALL, CPU, None))
    kinds = ("find", "compiled", "options")
    one, other, more = (record["parts"][f"{kind} yolact_tiny"] for kind in kinds)
    assert set(one["arms"]) == {"eager fp32", "eager AMP"}
    assert set(other["arms"]) == {"eager fp32", "compiled bf16"}
    assert set(more["arms"]) == {*other["arms"], "compiled bf16, image by image"}
    assert one["failed"] == {} and one["twin"]["interval"]
    assert record["parts"]["micro"]["failed"] == {}
    assert record["parts"]["training yolact_tiny with its loader"]["images_per_second"] > 0
    assert record["parts"]["deformable layer"]["failed"] == {}
    assert main(["--table", str(file)]) == 0
    assert "images/s" in capsys.readouterr().out
