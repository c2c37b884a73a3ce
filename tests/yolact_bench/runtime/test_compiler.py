"""A library that a killed process left incomplete in inductor's cache is compiled again."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from yolact_bench.runtime.compiler import (
    compiler_probe,
    remove_incomplete_libraries,
    with_whole_libraries,
)

# In a process of its own: what is once loaded stays loaded.
PROGRAM = """\
import logging, torch
from torch import nn
from yolact_bench.runtime.inductor import CompiledStage

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


@pytest.mark.slow
@pytest.mark.parametrize("age_s", [0, 3600])
def test_a_library_cut_short_is_compiled_again(tmp_path: Path, age_s: int) -> None:
    """Among them is the test of the vector unit: unread, generated code would not compile."""
    compiled(tmp_path)
    libraries = list(tmp_path.rglob("*.so"))
    assert libraries
    for library in libraries:
        library.write_bytes(library.read_bytes()[:100] if library.stat().st_size % 2 else b"")
        os.utime(library, (time.time() - age_s,) * 2)
    assert compiled(tmp_path).count("is incomplete; it is compiled again") == len(libraries)
    assert "is incomplete" not in compiled(tmp_path)


def test_an_incomplete_library_is_waited_for(tmp_path: Path) -> None:
    """Another process may be linking it: only one that was left is removed."""
    whole = Path(torch.__file__).parent / "lib/libshm.so"
    library = tmp_path / "ab/linked.so"
    library.parent.mkdir()
    library.write_bytes(whole.read_bytes()[:2000])
    linker = threading.Timer(0.5, lambda: library.write_bytes(whole.read_bytes()))
    linker.start()
    remove_incomplete_libraries(tmp_path)
    assert library.read_bytes() == whole.read_bytes()


def test_a_probe_says_whether_a_program_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a compiler, with one that does not work, and with one that does: once."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    missing, failing = probe(tmp_path, "no-such-compiler", str(broken))
    assert "no C++ compiler" in missing
    assert failing.startswith("a small program does not compile: ")
    assert probe(tmp_path, "g++") == ["builds"]
    monkeypatch.delenv("CXX", raising=False)
    (done,) = tmp_path.glob("probed_*")
    monkeypatch.setattr(torch, "compile", None)  # would fail
    compiler_probe.cache_clear()
    assert compiler_probe("cpu") == ""
    done.unlink()
    compiler_probe.cache_clear()
    assert "TypeError" in compiler_probe("cpu")
    # Launches from C++ are probed apart, and a run does without them.
    without = compiler_probe("cpu", cpp_launches=True)
    assert "TypeError" in without
    assert "install" in compiler_probe("cpu") and "install" not in without


def probe(cache: Path, *compilers: str) -> list[str]:
    """The verdicts of another process; inductor keeps to the compiler that it asks for first."""
    code = (
        "import os\n"
        "from yolact_bench.runtime.compiler import compiler_probe\n"
        f"for os.environ['CXX'] in {compilers!r}:\n"
        "    compiler_probe.cache_clear()\n"
        "    print(compiler_probe('cpu') or 'builds')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


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
