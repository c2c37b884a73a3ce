"""The script that measures on a GPU: its flow with parts that cost nothing, and all of it small."""

import json
from pathlib import Path

import pytest
import torch

from tests.benchmarks import gpu_session
from tests.benchmarks.gpu_networks import _GPU_ARMS, REFERENCE
from tests.benchmarks.gpu_session import file_name, main, parts_of, run_session
from tests.benchmarks.gpu_size import FULL, SMALL
from tests.benchmarks.gpu_table import table_of

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
    seen: list[int] = []

    def part() -> dict[str, object]:
        seen.append(len(json.loads(path.read_text())["parts"]) if path.exists() else 0)
        return network()

    def failing() -> dict[str, object]:
        raise RuntimeError("no such kernel")

    parts = {"a": part, "broken": failing, "b": part, "late": part, "later": part}
    monkeypatch.setattr(gpu_session, "parts_of", lambda size, device: parts)
    record = run_session(SMALL, CPU, path, seconds=250.0, now=lambda: next(clock))

    stored = json.loads(path.read_text())
    assert list(stored["parts"]) == ["a", "b"]
    assert stored["skipped"]["broken"] == "RuntimeError: no such kernel"
    assert stored["skipped"]["later"].startswith("no time left")
    assert seen == [0, 1]  # what was done before the second was on disk
    assert stored["parts"] == record["parts"]


def test_the_full_session_has_every_network_batch_runtime_and_training() -> None:
    parts = list(parts_of(FULL, CPU))
    wanted = {
        f"{preset}, batch {batch}"
        for preset in ("yolact_r50", "yolact_plus_r50", "yolact_plus_r101")
        for batch in (1, 8)
    }
    assert wanted <= set(parts)
    assert {"deformable layer", "training yolact_r50", "training yolact_plus_r50"} <= set(parts)
    assert all(name.endswith("batch 1") for name in parts[:3])  # what is aimed at comes first
    runtimes = [runtime["name"] for runtime, _ in _GPU_ARMS.values()]
    assert runtimes == ["eager", "eager", "compiled", "cuda_graph"]
    assert next(iter(_GPU_ARMS)) == REFERENCE


def test_the_table_says_what_was_aimed_at_and_whether_the_session_counts() -> None:
    """1.2 ms ≤ 1.3 ms and 5 × ≥ 4 ×; a twin that differs is told in place of its mark."""
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
    assert "| yolact_r50 | 1 | cuda_graph bf16 | 1.200 [5.900, 6.100] | 5.00 [4.90, 5.10]" in table
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
    (file,) = tmp_path.iterdir()
    record = json.loads(file.read_text())
    assert record["skipped"] == {}
    assert set(record["parts"]) == set(parts_of(SMALL, CPU))
    one = record["parts"]["yolact_tiny, batch 1"]
    assert set(one["arms"]) == {"eager fp32", "eager AMP", "compiled bf16"}
    assert one["failed"] == {} and one["twin"]["interval"]
    assert record["parts"]["deformable layer"]["failed"] == {}
    assert main(["--table", str(file)]) == 0
    assert "images/s" in capsys.readouterr().out
