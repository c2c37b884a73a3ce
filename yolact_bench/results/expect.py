"""Expectations of an ablation's author about its results, as small comparisons.

    mask_ap[interval_3] >= mask_ap[nowhere] + 1.0
    latency_ms["k=8"] < 1.1 * latency_ms["k=32"]

AP is in percentage points, as tables print it. Arms that are no plain words go in quotes.
"""

import ast
import itertools
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from yolact_bench.errors import SpecError, hint

QUANTITIES = (
    *("mask_ap", "mask_ap50", "mask_ap75", "mask_ap_small", "mask_ap_medium", "mask_ap_large"),
    *("box_ap", "box_ap50", "box_ap75", "latency_ms", "latency_p90_ms", "fps", "parameters"),
)
_FORM = "write such as mask_ap[a] >= mask_ap[b] + 1.0"
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: Mapping[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.GtE: ("≥", operator.ge),
    ast.Gt: (">", operator.gt),
    ast.LtE: ("≤", operator.le),
    ast.Lt: ("<", operator.lt),
}

Lookup = Callable[[str, str], float | None]  # quantity, arm → value, None where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An expectation held against the results."""

    text: str
    met: bool | None  # None: a value is missing
    detail: str  # the numbers on both sides, or what is missing


def arms_of(text: str) -> frozenset[str]:
    """Return the arms that an expectation names; it has been checked."""
    nodes = ast.walk(ast.parse(text.strip(), mode="eval"))
    indices = [node.slice for node in nodes if isinstance(node, ast.Subscript)]
    return frozenset(
        str(index.value) if isinstance(index, ast.Constant) else ast.unparse(index)
        for index in indices
    )


def check_expectation(text: str, arms: Collection[str]) -> None:
    """Raise an error unless `text` can be evaluated for these arms, whatever their numbers.

    Raises:
        SpecError: a syntax mistake, an unknown quantity or arm, a construct that is not allowed.
    """
    stand_ins = itertools.count(1.0, 0.7183)  # all different, as `1 / (a - b)` is allowed
    try:
        _Reader(text, arms, lambda quantity, arm: next(stand_ins)).comparison()
    except ZeroDivisionError as error:
        raise SpecError(f"expect: {text!r}: divides by zero; write another divisor") from error


def evaluate_expectation(text: str, arms: Collection[str], value_of: Lookup) -> Outcome:
    """Return whether `text` holds for the values that `value_of` gives.

    Raises:
        SpecError: as `check_expectation`.
    """
    check_expectation(text, arms)
    missing: list[str] = []

    def look_up(quantity: str, arm: str) -> float:
        value = value_of(quantity, arm)
        if value is None:
            missing.append(f"{quantity}[{arm}]")
        return 1.0 if value is None else value

    met: bool | None
    try:
        met, sides = _Reader(text, arms, look_up).comparison()
    except ZeroDivisionError:
        met, sides = None, "divides by zero"
    if missing:
        return Outcome(text=text, met=None, detail=f"no value of {', '.join(missing)}")
    return Outcome(text=text, met=met, detail=sides)


class _Reader:
    """Evaluates the few allowed kinds of syntax node; everything else is refused."""

    def __init__(
        self, text: str, arms: Collection[str], value_of: Callable[[str, str], float]
    ) -> None:
        self.text = text
        self.arms = arms
        self.value_of = value_of

    def comparison(self) -> tuple[bool, str]:
        """Return whether it holds, and the numbers in place of the names."""
        try:
            node = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise self._mistake(f"not an expression ({error}); {_FORM}") from error
        if not isinstance(node, ast.Compare):
            raise self._mistake(f"expected a comparison with <, <=, > or >=; {_FORM}")
        values = [self._number(side) for side in (node.left, *node.comparators)]
        met, text = True, f"{values[0]:.4g}"
        for sign, left, right in zip(node.ops, values, values[1:], strict=False):
            if type(sign) not in _COMPARISONS:
                raise self._mistake("compare with <, <=, > or >= (measured numbers never equal)")
            symbol, holds = _COMPARISONS[type(sign)]
            met = met and holds(left, right)
            text += f" {symbol} {right:.4g}"
        return met, text

    def _number(self, node: ast.expr) -> float:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return float(str(node.value))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._number(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](self._number(node.left), self._number(node.right))
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return self._value(node.value.id, node.slice)
        if isinstance(node, ast.Name):
            raise self._mistake(f"of which arm? write {node.id}[arm]")
        raise self._mistake(f"{ast.unparse(node)!r} is not allowed; use quantity[arm], + - * /")

    def _value(self, quantity: str, index: ast.expr) -> float:
        if quantity not in QUANTITIES:
            raise self._mistake(f"no quantity is named {quantity!r}{hint(quantity, QUANTITIES)}")
        quoted = isinstance(index, ast.Constant)
        arm = str(index.value) if isinstance(index, ast.Constant) else ast.unparse(index)
        if arm not in self.arms:
            known = dict.fromkeys(self.arms)
            how = "" if quoted or arm.isidentifier() else '; quote arms like "a-b"'
            raise self._mistake(f"no arm is named {arm!r}{hint(arm, known)}{how}")
        return self.value_of(quantity, arm)

    def _mistake(self, what: str) -> SpecError:
        return SpecError(f"expect: {self.text!r}: {what}")
