"""Files of arrays (.npz) that are read back."""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolact_bench.errors import SpecError
from yolact_bench.text_file import open_regular

# What numpy and zipfile raise for other content; the last two for a method or an encryption that
# is not theirs, and for a shape beyond all memory.
_UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, SyntaxError, struct.error, zlib.error),
    *(zipfile.BadZipFile, RuntimeError, MemoryError),
)


def read_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name, or those of `names`.

    Raises:
        ValueError: no such file, or damaged; the message says how.
    """
    try:
        with open_regular(path) as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names or stored.files}
    except SpecError as error:
        raise ValueError("a folder, pipe or device") from error
    except _UNREADABLE as error:
        raise ValueError(str(error) or type(error).__name__) from error
    except AttributeError as error:  # one array, no archive of several
        raise ValueError("not an archive of arrays") from error
