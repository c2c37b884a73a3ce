"""The C++ compiler behind inductor, and the libraries it leaves in inductor's cache."""

import inspect
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

log = logging.getLogger(__name__)

Returned = TypeVar("Returned")
_NO_COMPILER = (
    "inductor finds no C++ compiler; install g++ or clang, or name one in the environment "
    "variable CXX, or write runtime: {name: eager}"
)
_LIBRARY = re.compile(r"(/\S+\.so)\b")


def compiler_fault(device_type: str) -> str:
    """Return what keeps inductor from compiling for a kind of device here, or nothing."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    # torch 2.15 asks for the kind of device, 2.11 to 2.14 take no argument.
    find: Callable[..., object] = get_cpp_compiler
    arguments = (device_type,) if inspect.signature(find).parameters else ()
    try:
        find(*arguments)
    except InvalidCxxCompiler:
        return _NO_COMPILER
    return ""


def with_whole_libraries(compiling: Callable[[], Returned]) -> Returned:
    """Return what a call that compiles returns, where a library in the cache is only half there.

    A process killed while it links leaves such a file, and inductor, which writes in place, would
    fail to load it for ever after. It is removed, and the call made again.
    """
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


def _unloadable(error: BaseException) -> Path | None:
    """Return the library in inductor's cache that could not be loaded, if that was the error."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    for cause in _causes(error):
        found = _LIBRARY.search(str(cause)) if isinstance(cause, ImportError | OSError) else None
        if found:
            library = Path(found[1])
            if library.is_relative_to(cache_dir()) and library.is_file():
                return library
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, each once."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        # Dynamo's errors carry the compiler's.
        cause = getattr(cause, "inner_exception", None) or cause.__cause__ or cause.__context__
