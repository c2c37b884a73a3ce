"""Rows of other frameworks: result files, or a command that writes such files.

One file: what a row means and how its keys are read must agree.
"""

import hashlib
import json
import os
import shlex
import shutil
import string
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from yolact_bench.errors import Faults, SpecError, brief, hint
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.file_hash import file_sha256
from yolact_bench.ranges import Positive
from yolact_bench.yaml_source import Source
from yolact_bench.yaml_text import KeyPath

# Raise when the same files or command would get other scores: records are then not reused.
EXTERNAL_VERSION = 1
EXTERNAL = "external"
DAY = 24.0 * 60.0  # minutes

PLACEHOLDERS: Mapping[str, str] = {
    "python": "the interpreter named by `python`, or the one that runs yolact-bench",
    "images": "the folder of the evaluation images",
    "annotations": "their COCO-format annotations",
    "out": "the folder to write segm.json, bbox.json and latency.json into",
    "device": "the device of this run: cpu, cuda:0",
    "seed": "the seed; the row then has one result for every seed of the ablation",
}
_OF_FILES = ("segm", "bbox", "latency")  # without bbox: boxes are those around the masks
_TIMEOUT = "timeout_minutes"
_OF_COMMAND = ("command", "version", "python", _TIMEOUT, "smoke")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that predicts, in its own environment, and writes result files."""

    text: str  # as written: placeholders stand
    version: str  # what else decides the result: versions, weights
    python: str | None
    timeout_minutes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """One row of the table for another framework."""

    name: str
    # A command, or "segm", "bbox" and "latency" → file; `{seed}` in its name stands for the seed.
    entry: Command | Mapping[str, str]
    folder: Path  # of the spec: its paths and the command are relative to it
    where: str  # file:line: external.<name>

    @property
    def origin(self) -> str:
        if isinstance(self.entry, Command):
            return f"command: {self.entry.version}"
        return "files"

    @property
    def per_seed(self) -> bool:
        entry = self.entry
        texts = [entry.text] if isinstance(entry, Command) else entry.values()
        return any("seed" in _fields(text) for text in texts)

    def files(self, seed: int) -> dict[str, Path]:
        """Return "segm", "bbox" and "latency" → its file, of those that the spec names."""
        assert not isinstance(self.entry, Command)
        values = {"seed": str(seed)}
        return {kind: self.folder / _fill(text, values) for kind, text in self.entry.items()}

    def words(self, values: Mapping[str, str]) -> list[str]:
        """Return the words of the command with the placeholders filled; no shell is involved."""
        assert isinstance(self.entry, Command)
        return [_fill(word, values) for word in shlex.split(self.entry.text)]

    def python(self, default: str) -> str:
        """Return the interpreter for `{python}`: a path is relative to the spec."""
        assert isinstance(self.entry, Command)
        python = self.entry.python
        if python is None or os.sep not in python:
            return python or default
        # Not resolved: the interpreter of a virtual environment is a link that must stay one.
        return str((self.folder / Path(python).expanduser()).absolute())

    def digest(self, *, seed: int, eval_data: str, evaluation: Evaluation = COCO_OPTIONS) -> str:
        """Return the identity of the result: what was predicted, on which images, what counts.

        Of files, the contents count. Of a command, its text, `version`, and the contents of the
        files that it names (the script, its weights); the interpreter's place does not.

        Raises:
            SpecError: a result file is not there.
        """
        payload: dict[str, object] = {"external": EXTERNAL_VERSION, "eval_data": eval_data}
        if evaluation.changes:
            payload["evaluation"] = evaluation.changes
        if isinstance(self.entry, Command):
            payload["command"] = _fill(self.entry.text, {"seed": str(seed)})
            payload["version"] = self.entry.version
            payload["named"] = {name: file_sha256(path) for name, path in self._named_files(seed)}
        else:
            files = self.files(seed)
            for kind, path in files.items():
                if not path.is_file():
                    raise SpecError(f"{self.where}.{kind}: no file {path}; correct the path")
            payload["files"] = {kind: file_sha256(path) for kind, path in files.items()}
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def missing(self, *, seed: int, default_python: str) -> str:
        """Return what this row needs and this machine lacks, "" if nothing."""
        if not isinstance(self.entry, Command):
            absent = [str(path) for path in self.files(seed).values() if not path.is_file()]
            return f"no file {', '.join(absent)}" if absent else ""
        program = self.words({"python": self.python(default_python), "seed": str(seed)})[0]
        if shutil.which(str(self.folder / program) if os.sep in program else program):
            return ""
        return f"no program {program}"

    def _named_files(self, seed: int) -> Iterator[tuple[str, Path]]:
        """The files among the words of the command, without the program itself."""
        for word in self.words({"seed": str(seed)})[1:]:
            name = word.partition("=")[2] if word.startswith("-") else word
            if name and (self.folder / name).is_file():
                yield name, self.folder / name


def read_external(
    source: Source, *, arms: Collection[str], rehearsal: bool = False
) -> tuple[External, ...]:
    """Return the rows below `external:`, in the order of the file.

    In a rehearsal a command's own smoke variant takes its place, and rows of files, which belong to
    the real evaluation images, are left out.

    Raises:
        SpecError: a wrong key, name or placeholder.
    """
    content = source.data.get(EXTERNAL, {})
    if not isinstance(content, Mapping):
        message = f"expected such as {{other: {{segm: results.json}}}}, got {brief(content)}"
        raise source.error((EXTERNAL,), message)
    rows, faults = [], Faults()
    for key, options in content.items():
        path = (EXTERNAL, str(key))
        with faults.part():
            source.label(path, path[1])
            if path[1] in arms:
                raise source.error(path, "an arm has this name, too; choose another")
        with faults.part():
            entry = _entry(source, path, options, rehearsal=rehearsal)
            where = source.where(path)
            if not rehearsal or isinstance(entry, Command):
                rows.append(External(name=path[1], entry=entry, folder=source.folder, where=where))
    faults.raise_any()
    return tuple(rows)


def _entry(
    source: Source, path: KeyPath, options: object, *, rehearsal: bool
) -> Command | Mapping[str, str]:
    if not isinstance(options, Mapping) or not {"segm", "command"} & options.keys():
        example = "{segm: results.json}, or {command: …, version: …} that writes it"
        raise source.error(path, f"expected {example}, got {brief(options)}")
    if "command" in options:
        return _command(source, path, options, rehearsal=rehearsal)
    return _result_files(source, path, options)


def _result_files(
    source: Source, path: KeyPath, options: Mapping[str, object]
) -> Mapping[str, str]:
    faults = Faults()
    with faults.part():
        source.check_keys(path, options, _OF_FILES)
    written = [key for key in _OF_FILES if key in options]
    files = _texts(source, path, {key: options[key] for key in written}, faults)
    for key, text in files.items():
        with faults.part():
            _check_fields(source, (*path, key), text, ["seed"])
    faults.raise_any()
    return files


def _texts(
    source: Source, path: KeyPath, options: Mapping[str, object], faults: Faults
) -> dict[str, str]:
    return faults.read_each(
        {key: partial(source.text, (*path, key), value) for key, value in options.items()}
    )


def _command(
    source: Source, path: KeyPath, options: Mapping[str, object], *, rehearsal: bool
) -> Command:
    faults, minutes = Faults(), DAY
    with faults.part():
        source.check_keys(path, options, _OF_COMMAND)
    written = [key for key in _OF_COMMAND if key in options.keys() - {_TIMEOUT}]
    texts = _texts(source, path, {key: options[key] for key in written}, faults)
    if "version" not in options and not faults:  # it may be what another key is meant to be
        message = "version: missing; say what makes the result: versions and weights"
        faults.add(source.error(path, message))
    for key in {"command", "smoke"} & texts.keys():
        with faults.part():
            _check_command(source, (*path, key), texts[key])
    with faults.part():
        minutes = source.value((*path, _TIMEOUT), Positive, options.get(_TIMEOUT, DAY))
    faults.raise_any()
    return Command(
        text=texts.get("smoke", texts["command"]) if rehearsal else texts["command"],
        version=texts["version"],
        python=texts.get("python"),
        timeout_minutes=minutes,
    )


def _check_command(source: Source, path: KeyPath, text: str) -> None:
    _check_fields(source, path, text, PLACEHOLDERS)
    try:
        words = shlex.split(text)
    except ValueError as error:
        message = f"cannot be split into words ({error}); check the quotes"
        raise source.error(path, message) from error
    if not words or not any("out" in _fields(word) for word in words):
        raise source.error(path, "must write into {out}; say so in one of its words")


def _check_fields(source: Source, path: KeyPath, text: str, known: Collection[str]) -> None:
    try:
        names = _fields(text)
    except ValueError as error:
        raise source.error(path, f"{error}; write {{{{ and }}}} for plain braces") from error
    faults = Faults()
    for field in names:
        if field not in known:
            message = f"no placeholder is named {brief(field)}{hint(field, known)}"
            faults.add(source.error(path, message))
    faults.raise_any()


def _fields(text: str) -> list[str]:
    return [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with the placeholders of `values` filled and the others left as they are."""
    parts = []
    for plain, field, _, _ in string.Formatter().parse(text):
        parts.append(plain)
        if field is not None:
            parts.append(values.get(field, f"{{{field}}}"))
    return "".join(parts)
