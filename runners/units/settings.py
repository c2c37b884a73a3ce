"""`--set path=value` on the command line."""

from collections.abc import Sequence

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
