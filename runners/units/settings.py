"""`--set path=value` on the command line."""

from collections.abc import Sequence

from yolact_bench.errors import Faults, SpecError
from yolact_bench.yaml_text import parse_yaml


def parse_settings(settings: Sequence[str], faults: Faults | None = None) -> dict[str, object]:
    """Return path → value for "schedule.lr=0.01" or "nms={name: soft}"; values are YAML.

    Raises:
        SpecError: settings without "=", or whose value is not YAML, unless they go into `faults`.
    """
    parsed: dict[str, object] = {}
    errors = Faults() if faults is None else faults
    for setting in settings:
        path, separator, text = setting.partition("=")
        with errors.part():
            if not separator or not path:
                remedy = "write path=value, such as --set schedule.lr=0.01"
                raise SpecError(f"--set {setting}: {remedy}")
            parsed[path], _ = parse_yaml(text, where=f"--set {path}", remedy="quote it")
    if faults is None:
        errors.raise_any()
    return parsed
