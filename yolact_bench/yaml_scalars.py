"""What a word without quotes stands for in YAML: the core schema of YAML 1.2.

So `no`, `on`, `1:30` and `2024-01-01`, which YAML 1.1 takes for other things, are texts, and `1e-3`
is a number. Beyond the schema `1_000` is a number, and `010` a text, as it is 10 in this version
and 8 in the other. `<<` merges mappings.
"""

import re

import yaml

_TAG = "tag:yaml.org,2002:"
_DIGITS = "[0-9]+(?:_[0-9]+)*"
_EXPONENT = "[eE][-+]?[0-9]+"
# Tag → words, and the characters that these begin with. The first that fits counts.
_RULES = {
    "merge": ("<<", "<"),
    "null": ("~|null|Null|NULL|", [*"~nN", ""]),
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (f"[-+]?(?:0|(?!0){_DIGITS})|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        rf"[-+]?(?:(?:{_DIGITS}\.[0-9]*|\.[0-9]+)(?:{_EXPONENT})?|{_DIGITS}{_EXPONENT})"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}


def add_rules(reader_or_writer: type[yaml.SafeLoader] | type[yaml.SafeDumper]) -> None:
    """Make a reader know the rules, or a writer quote texts that they would take for others."""
    for tag, (words, first) in _RULES.items():
        reader_or_writer.add_implicit_resolver(_TAG + tag, re.compile(rf"(?:{words})\Z"), [*first])


def as_text(key: yaml.Node) -> yaml.Node:
    """Return a key of a mapping, which is a text whatever it looks like."""
    if not isinstance(key, yaml.ScalarNode):
        return key
    return yaml.ScalarNode(f"{_TAG}str", key.value, key.start_mark, key.end_mark, key.style)
