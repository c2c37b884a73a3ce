"""The README shows the spec whose table it prints."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_first_spec_of_the_readme_is_the_file_whose_table_follows() -> None:
    spec, command = re.findall(
        r"```yaml\n(.*?)```.*?yolact-bench run (\S+)", (ROOT / "README.md").read_text(), re.DOTALL
    )[0]
    shown, stored = yaml.safe_load(spec), yaml.safe_load((ROOT / command).read_text())
    assert shown == stored
    assert list(shown["arms"]) == list(stored["arms"])
