"""A library that a killed process left incomplete in inductor's cache is compiled again."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from yolact_bench.runtime.compiler import with_whole_libraries

# In a process of its own: what is once loaded stays loaded.
PROGRAM = """\
import logging, torch
from torch import nn
from yolact_bench.runtime.compiled import CompiledStage

logging.basicConfig()

class Stage(nn.Module):
    def forward(self, x):
        return torch.relu(x) * 3.25 + x.sum()

x = torch.linspace(-1, 1, 3500).reshape(50, 70)
assert torch.allclose(CompiledStage(Stage(), name="stage")(x), Stage()(x), atol=1e-4)
"""


def compiled(cache: Path) -> str:
    """Compile in another process; return what it says."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_library_cut_short_is_compiled_again(tmp_path: Path) -> None:
    compiled(tmp_path)
    libraries = list(tmp_path.rglob("*.so"))
    assert libraries
    for library in libraries:
        library.write_bytes(library.read_bytes()[:100] if library.stat().st_size % 2 else b"")
    assert "is incomplete; it is compiled again" in compiled(tmp_path)
    assert "is incomplete" not in compiled(tmp_path)


def test_another_error_is_raised_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A library elsewhere is not ours to remove; one that stays broken is not removed for ever."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    elsewhere, inside = tmp_path / "other.so", tmp_path / "cache" / "own.so"
    elsewhere.touch()
    calls = 0

    def loading(library: Path) -> None:
        nonlocal calls
        calls += 1
        library.touch()
        raise ImportError(f"{library}: file too short")

    with pytest.raises(ImportError, match=r"other\.so"):
        with_whole_libraries(lambda: loading(elsewhere))
    assert elsewhere.exists() and calls == 1
    with caplog.at_level(logging.WARNING), pytest.raises(ImportError, match=r"own\.so"):
        with_whole_libraries(lambda: loading(inside))
    assert calls == 3
    assert len(caplog.records) == 1
