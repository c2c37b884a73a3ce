"""`--set path=value` on the command line, and the command line in records."""

from collections.abc import Mapping, Sequence
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


def command_text(
    command: str, spec: Path, settings: Sequence[str], options: Mapping[str, object]
) -> str:
    """Return a command line on a spec as a reader would repeat it; options without value left out.

    The paths of this machine are left out too.
    """
    words = ["yolact-bench", command, spec.name if spec.is_absolute() else str(spec)]
    words += [word for setting in settings for word in ("--set", setting)]
    words += [word for name, value in options.items() if value for word in (name, str(value))]
    return " ".join(words)
