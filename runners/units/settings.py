"""`--set path=value` on the command line."""

from collections.abc import Sequence

from yolact_bench.errors import SpecError
from yolact_bench.yaml_text import parse_yaml


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
        parsed[path], _ = parse_yaml(text, where=f"--set {path}", remedy="quote it")
    return parsed
