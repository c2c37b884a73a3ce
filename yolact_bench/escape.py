"""Text that others wrote, made harmless: for terminals and files of text, and for spreadsheets.

What reads a text may take parts of it as commands: names, questions, messages of other programs.
Markdown and LaTeX have such functions where their pages are written.
"""

import re

# All but tab and line feed: escape sequences, marks that turn the direction of what follows, blanks
# without width, other ends of lines, halves of characters (bytes of file names that are no UTF-8).
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
    r"\ud800-\udfff]"
)
_LAYOUT = {ord("\t"): "\0", ord("\n"): "\0"}  # of texts of several lines alone
# scheme://user:password@host. A slash in it is legal for databases, but not behind a port.
_PASSWORD = re.compile(r'(://[^\s/@:"]*:)(?:[^\s/"]+|(?!\d{1,5}/)[^\s@"]+)@')
_PARAMETER = re.compile(r"([?&](?:password|passwd|pwd|token)=)[^&\s\"]+", re.IGNORECASE)
_FORMULA = tuple("=+-@\t\n＝＋－＠")  # the wide forms are read so, too, in East Asian versions


def printable(text: str) -> str:
    """Return the text with control characters as Python writes them, and without passwords."""
    visible = _CONTROL.sub(lambda m: m[0].encode("unicode_escape").decode(), text)
    return without_passwords(visible)


def is_printed(text: str) -> bool:
    """Return whether a text is one line of characters, none of which `printable` changes."""
    return _CONTROL.search(text.translate(_LAYOUT)) is None


def one_line(text: str) -> str:
    """Return the same in one line, single blanks between its words."""
    return printable(" ".join(text.split()))


def without_passwords(text: str) -> str:
    """Return the text with a dot-dot-dot for the password in every URI of it."""
    return _PARAMETER.sub(r"\1…", _PASSWORD.sub(r"\1…@", text))


def csv_cell(value: object) -> object:
    """Return a cell that no spreadsheet runs: a text like a formula gets an apostrophe in front.

    Numbers stay what they are, also those that are text.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
