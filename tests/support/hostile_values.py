"""Values that belong at no place of a spec, and strategies that put them into a real one."""

import copy
from collections.abc import Iterator

import yaml
from hypothesis import strategies as st

Place = tuple[str | int, ...]
# Written into the text of a file as they stand, since no dumper writes them.
RAW = (
    *("!!binary aGVsbG8=", "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 2026-11-28", "2026-13-45"),
    *("!!python/object/apply:os.system [ls]", "!!bool maybe", "!!int ''", "!unknown x", "*nothing"),
    *(
        "&a [*a]",
        "&b {<<: *b}",
        "{<<: 3}",
        "{? [a] : b}",
        "1:30:00",
        "0x_",
        "1_0",
        "=",
        "~",
        "1e400",
    ),
    *("-.inf", ".nan", "1e-400", "0o17", "[" * 60, "{a: 1, a: 2}", "{1: 2, null: 3}", "'\\x1b[2J'"),
    *("!!float nan", "!!str 3", "!!null x", "2026-11-28T10:00:00Z", "- 3", "%x", "@x", '"\\ud800"'),
)
VALUES = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 0.0, -0.0, 1e-320, 1e308),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "x", "nan", "1e400", "x" * 5000, "a\nb"),
    *("x\0y", "\x1b[31m", "\u202e", "../x", "/etc/passwd", "{seed}", "{", "%s", "None", "true"),
    *(
        [],
        {},
        [[]],
        [{}],
        [None],
        [1, "a"],
        {"a": [1]},
        {"name": ["a"]},
        {"name": {}},
        {"name": ""},
    ),
    *({"name": "x" * 5000}, {1: 2}, {"": ""}, {None: 1}, list(range(300)), [[[[[[1]]]]]], b"\xff"),
    *({"low": 0, "high": 10**9, "step": 1}, {"low": float("nan")}, ["x"] * 50, {"a.b.c": 1}, "a.b"),
)
_MARK = "@@RAW{}@@"


def places(value: object, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every value in a tree."""
    inner = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else inner:
        yield (*place, key)
        yield from places(item, (*place, key))


@st.composite
def changed_texts(draw: st.DrawFn, spec: object) -> str:
    """Return the YAML of a spec with one to three values replaced, removed, added or renamed."""
    tree = copy.deepcopy(spec)
    for _ in range(draw(st.integers(1, 3))):
        spots = list(places(tree))
        if not spots:
            break
        place = draw(st.sampled_from(spots))
        marks = st.sampled_from([_MARK.format(number) for number in range(len(RAW))])
        value = copy.deepcopy(draw(st.sampled_from(VALUES) | marks | st.text(max_size=8)))
        _change(tree, place, draw(st.sampled_from(("replace", "remove", "add", "rename"))), value)
    text = yaml.safe_dump(tree, allow_unicode=draw(st.booleans()), sort_keys=False)
    for number, raw in enumerate(RAW):
        text = text.replace(f"'{_MARK.format(number)}'", raw).replace(_MARK.format(number), raw)
    return text


def _change(tree: object, place: Place, action: str, value: object) -> None:
    inner = tree
    for key in place[:-1]:
        inner = inner[key]  # type: ignore[index]
    key = place[-1]
    if action == "remove":
        del inner[key]  # type: ignore[attr-defined]
    elif action == "replace":
        inner[key] = value  # type: ignore[index]
    elif isinstance(inner, list):
        inner.insert(int(key), value if action == "add" else inner[int(key)])
    elif isinstance(inner, dict):
        name = value if isinstance(value, str | int | float | None) else str(value)[:50]
        inner[name] = inner.pop(key) if action == "rename" else copy.deepcopy(inner[key])
