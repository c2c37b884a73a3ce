"""What a file is that is not of the format its name says, by its first bytes."""

from collections.abc import Mapping

_WEB_PAGE = "a web page, as of a download that failed: load it again"
_LFS = "a pointer of Git LFS, not the file itself: fetch that by git lfs pull"
# By the first bytes, in small letters.
_KINDS: Mapping[bytes, str] = {
    b"version https://git-lfs": _LFS,
    b"<!doctype html": _WEB_PAGE,
    b"<html": _WEB_PAGE,
    b"<?xml": "XML, as of Pascal VOC",
    b"\x1f\x8b": "compressed by gzip: unpack it",
    b"pk\x03\x04": "a ZIP archive: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"bzh": "compressed by bzip2: unpack it",
    b"%pdf": "a PDF document",
    b"\x93numpy": "an array of NumPy",
}
_BRANDS = (b"heic", b"heix", b"mif1", b"hevc")


def file_kind(beginning: bytes) -> str:
    """Return what a file with these first bytes is, and what to do; "" if that is unknown."""
    text = beginning[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text:
        return "empty" if len(beginning) < 256 else ""
    if text[4:8] == b"ftyp" and text[8:12] in _BRANDS:
        return "an image in HEIF, as of a phone"
    return next((kind for magic, kind in _KINDS.items() if text.startswith(magic)), "")
