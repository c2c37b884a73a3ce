"""A file of torch.save as plain data: nothing in it is executed, and nothing expands."""

import argparse
import pathlib
import pickle
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from yolact_bench.file_kinds import file_kind
from yolact_bench.weights.tensors import UnreadableError

# torch.save stores without compression; other writers may pack numbers a little.
_MOST_EXPANSION = 4
_BEGINNING = 256  # bytes
_MAKE_ARRAY: Any = np.empty(0).__reduce__()[0]
_MAKE_NUMBER = np.float64(0).__reduce__()[0]
# What trainers leave beside tensors, and what cannot run code when it is restored: NumPy's numbers
# and arrays (NumPy 1 named their functions otherwise), parsed arguments, paths.
_HARMLESS: list[Any] = [
    *(np.dtype, np.ndarray, *(type(np.dtype(code)) for code in "?bhilqBHILQefdgSU")),
    *(_MAKE_NUMBER, (_MAKE_NUMBER, "numpy.core.multiarray.scalar")),
    *(_MAKE_ARRAY, (_MAKE_ARRAY, f"numpy.core.multiarray.{_MAKE_ARRAY.__name__}")),
    *(argparse.Namespace, pathlib.PosixPath),
]


def load_torch(path: Path) -> object:
    """Return what a file of torch.save holds: plain data and tensors on the CPU.

    Raises:
        UnreadableError: not such a file, one that expands to far more than it has, or one with
            other objects, which could run code.
    """
    if fault := _archive_fault(path):
        raise UnreadableError(fault)
    try:
        with torch.serialization.safe_globals(_HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old or sparse tensors, which are refused by name
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for what is not a checkpoint
        if isinstance(error, OSError) and error.filename is not None:
            raise
        text = str(error)
        if isinstance(error, pickle.UnpicklingError) and re.search(
            r"global|only build", text, re.I
        ):
            match = re.search(r"GLOBAL (\S+)|got <class '([^']+)'>", text)
            kind = f" ({match[1] or match[2]})" if match else ""
            raise UnreadableError(
                f"holds Python objects{kind} beside tensors, which are not loaded, for they could "
                "run any code",
                remedy="save the state_dict of the model alone",
            ) from error
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
        # A checkpoint is a ZIP archive as well.
        kind = "" if beginning.startswith(b"PK") else file_kind(beginning)
        what = f"but {kind}" if kind else "or is damaged"
        raise UnreadableError(f"is not a PyTorch checkpoint, {what}") from error


def _archive_fault(path: Path) -> str:
    """Return why the archive must not be unpacked, or nothing.

    torch compares no checksums: changed bytes would be other weights.
    """
    if not zipfile.is_zipfile(path):
        return ""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            own = path.stat().st_size
            if size > _MOST_EXPANSION * own:
                return f"expands from {own:,} to {size:,} bytes"
            changed = archive.testzip()
    # RuntimeError: a method or an encryption that zipfile does not have.
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError):
        return ""  # torch reads it, or refuses it
    return "" if changed is None else f"is damaged: the checksum of {changed} is another"
