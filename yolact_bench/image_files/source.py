"""Bytes at a place: of a file that is read in parts, or of one in memory."""

import os

SAMPLE = 4096  # bytes at each end of a file, which are read at once
_BLOCK = 1 << 20


class Source:
    """The bytes of a file in memory. What lies beyond the end is missing, never an error."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content

    def at(self, place: int, count: int) -> bytes:
        """Return `count` bytes from `place` on, fewer at the end."""
        return self._content[place : place + count]

    def number(self, place: int, count: int, order: str = "big") -> int:
        """Return an unsigned number of `count` bytes; 0 beyond the end."""
        data = self.at(place, count)
        return int.from_bytes(data, "little" if order == "little" else "big")

    def has(self, word: bytes, start: int) -> bool:
        """Return whether a word is found from `start` on; the end of the file is tried first."""
        last = max(start, self.size - SAMPLE)
        if word in self.at(last, SAMPLE):
            return True
        overlap = len(word) - 1
        return any(word in self.at(place, _BLOCK + overlap) for place in range(start, last, _BLOCK))


class FileSource(Source):
    """The bytes of a file on disk, of which both ends are in memory."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._descriptor = descriptor
        self.head = os.pread(descriptor, SAMPLE, 0)
        self._last = max(0, size - SAMPLE)
        self.tail = self.head if size <= SAMPLE else os.pread(descriptor, SAMPLE, self._last)

    def at(self, place: int, count: int) -> bytes:
        if place + count <= len(self.head):
            return self.head[place : place + count]
        if place >= self._last:
            return self.tail[place - self._last : place - self._last + count]
        return os.pread(self._descriptor, count, place)
