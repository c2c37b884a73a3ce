"""The C++ compiler behind inductor, and the libraries it leaves in inductor's cache."""

import functools
import getpass
import hashlib
import logging
import os
import re
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

log = logging.getLogger(__name__)

Returned = TypeVar("Returned")
_REMEDY = (
    "; install g++ or clang, or name one in the environment variable CXX, or write runtime: "
    "{name: eager}"
)
_NO_COMPILER = f"inductor finds no C++ compiler{_REMEDY}"
_CACHE = "TORCHINDUCTOR_CACHE_DIR"
_LIBRARY = re.compile(r"(/\S+\.so)\b")
_SETTLED_S = 10  # after so long without a write, no linker is at work on a file


def compiler_fault(device_type: str) -> str:
    """Return what keeps inductor from compiling for a kind of device here, or nothing.

    The compiler is looked up as inductor does it, and not run: see `compiler_probe`.
    """
    del device_type  # the host's part of a program for a GPU is compiled, too
    return "" if _compiler() else _NO_COMPILER


@functools.cache
def compiler_probe(device_type: str = "cpu", *, cpp_launches: bool = False) -> str:
    """Return why a small program does not compile and run here, or nothing.

    With `cpp_launches` it is one whose kernels are launched from C++. It takes seconds once for a
    version of torch and a compiler: a success leaves a file in inductor's cache.
    """
    compiler = _compiler()
    if not compiler:
        return _NO_COMPILER
    build = f"{torch.__version__} {device_type} {compiler} {compiler.stat().st_mtime_ns}"
    build, remedy = (f"{build} C++", "") if cpp_launches else (build, _REMEDY)
    done = cache_dir() / f"probed_{hashlib.sha256(build.encode()).hexdigest()[:16]}"
    if done.is_file():
        return ""
    x = torch.arange(100.0, device=device_type)
    try:
        program = torch.compile(
            lambda x: (x * 2 + 1).relu().sum(),
            dynamic=False,
            options={"cpp_wrapper": True} if cpp_launches else None,
        )
        result = float(with_whole_libraries(lambda: program(x)))
    except Exception as error:  # whatever it is, compiled runs end in it
        reason = str(error).strip().splitlines() or [""]
        return f"a small program does not compile: {type(error).__name__}: {reason[0]}{remedy}"
    if result != 10_000:  # 99 × 100 + 100
        return f"a small compiled program computes {result:g} in place of 10000{remedy}"
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()
    return ""


def cache_dir() -> Path:
    """Return inductor's cache, where the environment names it; as inductor does where it does not.

    The name is left in the environment, so that inductor uses the same.
    """
    if not os.environ.get(_CACHE):
        user = re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())
        os.environ[_CACHE] = str(Path(tempfile.gettempdir()) / f"torchinductor_{user}")
    return Path(os.environ[_CACHE])


def with_whole_libraries(compiling: Callable[[], Returned]) -> Returned:
    """Return what a call that compiles returns, where a library in the cache is only half there.

    A process killed while it links leaves such a file, and inductor, which writes in place, would
    fail to load it for ever after. It is removed, and the call made again.
    """
    remove_incomplete_libraries(cache_dir())
    seen: set[Path] = set()
    while True:
        try:
            return compiling()
        except Exception as error:
            torn = _unloadable(error)
            if torn is None or torn in seen:
                raise
            log.warning("%s is incomplete; it is compiled again", torn)
            torn.unlink()
            seen.add(torn)


@functools.cache
def remove_incomplete_libraries(folder: Path) -> None:
    """Remove libraries in a folder of inductor's that are only half there, once in a process.

    One of them is the test of the CPU's vector unit. Where it does not load, inductor does not
    fail: it takes the CPU for one without, and builds slow programs, or none from what it has kept.
    """
    for library in folder.rglob("*.so"):
        while not _is_whole(library):
            if time.time() - library.stat().st_mtime > _SETTLED_S:
                log.warning("%s is incomplete; it is compiled again", library)
                library.unlink()
                break
            time.sleep(0.1)  # another process may be linking it


def _is_whole(library: Path) -> bool:
    """Return whether a library reaches to the end of its table of sections, which comes last."""
    try:
        size = library.stat().st_size
        with library.open("rb") as file:
            header = file.read(64)
    except FileNotFoundError:
        return True  # removed by another process
    if sys.platform != "linux":
        return size > 0
    if len(header) < 64 or header[:4] != b"\x7fELF":
        return False
    (start,) = struct.unpack_from("<Q", header, 40)
    entry, entries = struct.unpack_from("<HH", header, 58)
    return bool(size >= start + entry * entries)


def _compiler() -> Path | None:
    """Return the compiler that inductor calls."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    path = shutil.which(name)
    return None if path is None else Path(path)


def _unloadable(error: BaseException) -> Path | None:
    """Return the library in inductor's cache that could not be loaded, if that was the error."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        match = _LIBRARY.search(str(cause)) if isinstance(cause, ImportError | OSError) else None
        if match and (library := Path(match[1])).is_relative_to(cache_dir()) and library.is_file():
            return library
        seen.add(id(cause))
        # Dynamo's errors carry the compiler's.
        cause = getattr(cause, "inner_exception", None) or cause.__cause__ or cause.__context__
    return None
