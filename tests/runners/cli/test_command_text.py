"""The command that a report prints leads to the same numbers on another machine."""

from pathlib import Path

import pytest

from runners.cli.spec_commands import RunCommand, SweepCommand


def test_it_has_no_folder_of_this_machine(tmp_path: Path) -> None:
    command = RunCommand(spec=tmp_path / "nms.yaml", settings=["a=1", "b=2"], seeds=3)
    assert command.text == "yolact-bench run nms.yaml --set a=1 --set b=2 --seeds 3"
    sweep = SweepCommand(spec=Path("sweeps/nms.yaml"), budget="short", trials=5, storage="db")
    assert sweep.text == "yolact-bench sweep sweeps/nms.yaml --budget short --trials 5"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"only": ["fast", "soft"]}, "--only fast --only soft"),
        ({"eval_batch": 4}, "--eval-batch 4"),
        ({"scoring": "faster"}, "--scoring faster"),
        ({"rounds": 30}, "--rounds 30"),
        ({"sizes": True}, "--sizes"),
        ({"compile_network": True}, "--compile"),
        ({"record_step": True}, "--graph"),
        ({"cudnn_benchmark": True}, "--cudnn-benchmark"),
        ({"devices": 2}, "--devices 2"),
        ({"latency_first": True}, "--latency-first"),
        ({"validate_every": 0}, "--validate-every 0"),
        ({"settings": ["nms={name: soft}"]}, "--set 'nms={name: soft}'"),
        ({"device": "cpu", "workers": 3, "retry_failed": True, "verbose": True}, ""),
        ({"work_dir": Path("elsewhere"), "executor": "ray", "slots": 8, "as_json": True}, ""),
    ],
)
def test_it_repeats_what_shapes_the_numbers(options: dict[str, object], words: str) -> None:
    command = RunCommand(spec=Path("nms.yaml"), **options)  # type: ignore[arg-type]
    assert command.text == f"yolact-bench run nms.yaml {words}".rstrip()
