"""`--set path=value` on the command line."""

from collections.abc import Sequence

from yolact_bench.errors import Faults, SpecError
from yolact_bench.yaml_text import parse_yaml


def parse_settings(settings: Sequence[str]) -> dict[str, object]:
    """Return path → value for "schedule.lr=0.01" or "nms={name: soft}"; values are YAML.

    Raises:
        SpecError: settings without "=", or whose value is not YAML.
    """
    parsed: dict[str, object] = {}
    faults = Faults()
    for setting in settings:
        path, separator, text = setting.partition("=")
        with faults.part():
            if not separator or not path:
                remedy = "write path=value, such as --set schedule.lr=0.01"
                raise SpecError(f"--set {setting}: {remedy}")
            parsed[path], _ = parse_yaml(text, where=f"--set {path}", remedy="quote it")
    faults.raise_any()
    return parsed
