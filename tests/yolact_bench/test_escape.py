"""Text of others: what a terminal, a spreadsheet and a log may not see of it."""

import pytest

from yolact_bench.escape import csv_cell, is_printed, one_line, printable, without_passwords


@pytest.mark.parametrize("text", ["=1", "+1+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\n=1", "＝1"])
def test_a_cell_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-0.3, "-0.3", "+1e-05", "-inf", None, True, "−0.3", "a=1"])
def test_a_number_and_a_plain_text_stay_what_they_are(value: object) -> None:
    assert csv_cell(value) is value or csv_cell(value) == value


def test_control_characters_are_shown_and_lines_stay() -> None:
    text = "\x1b[31mred\x07\r\n\tnext \u202egpj.exe \udcff é ü"
    assert printable(text) == r"\x1b[31mred\x07\r" + "\n\t" + r"next \u202egpj.exe \udcff é ü"
    assert one_line("a\n\x1bb  c") == r"a \x1bb c"


def test_what_is_not_printed_in_a_name_is_what_printable_changes() -> None:
    """But for the tab and the end of a line, which lay out a text of several lines."""
    for letter in map(chr, (*range(0x700), *range(0x2000, 0x2070), 0xD800, 0xDFFF, 0xFEFF)):
        assert is_printed(letter) == (printable(letter) == letter and letter not in "\t\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host:5000/x", "https://me:…@host:5000/x"),
        (
            "(mysql+x://me:s@cret@host/db) failed",
            "(mysql+x://me:…@host/db) failed",
        ),
        ("mysql://me:sec/ret@host/db", "mysql://me:…@host/db"),
        ('{"uri": "http://:p@h", "other": "a@b"}', '{"uri": "http://:…@h", "other": "a@b"}'),
        (
            "x://host/db?user=me&password=secret&x=1",
            "x://host/db?user=me&password=…&x=1",
        ),
    ],
)
def test_a_password_is_not_shown(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


@pytest.mark.parametrize(
    "text",
    ["sqlite:////data/a:b@c/mlflow.db", "http://host:5000/a@b", "postgresql://me@host/db", "a:b@c"],
)
def test_an_address_without_a_password_stays(text: str) -> None:
    assert without_passwords(text) == text
