"""`--set path=value` on the command line, and the command line in records."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from yolact_bench.errors import SpecError


def parse_settings(settings: Sequence[str]) -> dict[str, object]:
    """Return path → value for "schedule.lr=0.01" or "nms={name: soft}"; values are YAML.

    Raises:
        SpecError: a setting has no "=", or its value is not YAML.
    """
    parsed: dict[str, object] = {}
    for setting in settings:
        path, separator, text = setting.partition("=")
        if not separator or not path:
            raise SpecError(f"--set {setting}: write path=value, such as --set schedule.lr=0.01")
        try:
            parsed[path] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SpecError(f"--set {setting}: {text!r} is not valid YAML; quote it") from error
    return parsed


def command_words(command: str, spec: Path, settings: Sequence[str]) -> list[str]:
    """Return the beginning of a command line on a spec, without the paths of this machine."""
    file = spec.name if spec.is_absolute() else str(spec)
    return ["yolact-bench", command, file] + [w for s in settings for w in ("--set", s)]
