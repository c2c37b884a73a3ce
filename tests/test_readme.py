"""The README shows the spec whose table it prints, and Python that runs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from runners.training.checkpoint import save_final
from yolact_bench.build import build_network
from yolact_bench.resolve import resolve_architecture
from yolact_bench.shapes import Target
from yolact_bench.spec.presets import preset

ROOT = Path(__file__).parents[1]


def test_the_first_spec_of_the_readme_is_the_file_whose_table_follows() -> None:
    spec, command = re.findall(
        r"```yaml\n(.*?)```.*?yolact-bench run (\S+)", (ROOT / "README.md").read_text(), re.DOTALL
    )[0]
    shown, stored = yaml.safe_load(spec), yaml.safe_load((ROOT / command).read_text())
    assert shown == stored
    assert list(shown["arms"]) == list(stored["arms"])


def test_the_python_of_the_readme_runs_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an image, a batch and targets for the names that it leaves open."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (path,) = re.findall(r'weights="(.*?)"', "".join(blocks))
    monkeypatch.chdir(tmp_path)
    run = resolve_architecture(preset("yolact_tiny"))
    save_final(tmp_path / path, run=run, facts={}, network=build_network(run))
    target = Target(
        boxes=torch.tensor([[0.2, 0.2, 0.8, 0.8]]),
        labels=torch.tensor([0]),
        masks=torch.ones(1, 160, 160, dtype=torch.uint8),
        is_crowd=torch.tensor([False]),
    )
    names: dict[str, Any] = {
        "image": np.zeros((48, 64, 3), dtype=np.uint8),
        "x": torch.zeros(1, 3, 160, 160),
        "targets": [target],
    }
    for block in blocks:
        exec(block, names)
    assert set(names["losses"]) == {"box", "class", "mask", "semantic"}
    assert len(names["detections"]) == 1
