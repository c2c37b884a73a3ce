"""Options in which an arm differs from the baseline though its spec does not write them there.

A component brings defaults of its own: with `nms: matrix` also `top_k` is another. Runs are plain
data as of `Run.as_dict`, so that a report compares those of its manifest.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from yolact_bench.spec.run import FILLED_IN

RunData = Mapping[str, object]
_UNSET = object()  # no option of the component; in stored runs also one that it had later
_FOLLOWS = (*FILLED_IN, "classes")  # from the data set, whatever a spec writes


def side_effect_lines(
    runs: Mapping[str, RunData], changes: Mapping[str, Mapping[str, object]], baseline: str
) -> list[str]:
    """Return a line for each arm that changes more than it writes.

    `runs` is arm → resolved run, {} of an external row; `changes` is arm → what it writes.
    """
    return [
        f"{arm}: also {', '.join(effects)}"
        for arm, run in runs.items()
        if run and (effects := _side_effects(run, runs[baseline], written_paths(changes[arm])))
    ]


def _side_effects(run: RunData, baseline: RunData, written: set[str]) -> list[str]:
    """Each option with its two values; those that both runs have come first."""
    ours, theirs = _options(run), _options(baseline)
    paths = [path for path in {**ours, **theirs} if path not in written]
    return [
        f"{path.removesuffix('.name')} {_text(path, ours)} (baseline {_text(path, theirs)})"
        for path in sorted(paths, key=lambda path: (path in ours) + (path in theirs), reverse=True)
        if ours.get(path, _UNSET) != theirs.get(path, _UNSET)
    ]


def _options(run: RunData) -> dict[str, object]:
    """Return slot.option, or the slot where it is a single value, → value."""
    options: dict[str, object] = {}
    for slot, choice in run.items():
        if slot in _FOLLOWS:
            continue
        if isinstance(choice, Mapping):
            options |= {f"{slot}.{option}": v for option, v in choice.items() if option != "sha256"}
        else:
            options[slot] = choice
    return options


def written_paths(changes: Mapping[str, object]) -> set[str]:
    """Return the paths that an arm writes."""
    written = set(changes)
    for path, value in changes.items():
        if "." not in path:
            is_file = str(value).endswith((".yaml", ".yml"))  # short for a data set of that file
            options = value if isinstance(value, Mapping) else ("file",) * is_file
            written |= {f"{path}.name", *(f"{path}.{option}" for option in options)}
    return written


def _text(path: str, options: Mapping[str, object]) -> str:
    """Return the value as one would write it; of a file its name, wherever it lies."""
    value = options.get(path, _UNSET)
    if isinstance(value, str):
        return Path(value).name if path.endswith(".file") else value
    return "unset" if value is _UNSET else json.dumps(value)
