"""Known overlaps of many images, within a bound on memory."""

import json

from runners.sweep.replay.overlaps import KnownOverlaps
from yolact_bench.slots import Choice


class OverlapMemory:
    """What is known of each image under each assembly, some of it forgotten where memory is full.

    An assembly's masks are its own: one with another option makes others. Where there is no room,
    the assembly that was used longest ago is forgotten. What then has no room is found anew for
    every trial: were images to push each other out in turn, none would be known when needed.
    """

    def __init__(self, max_bytes: float) -> None:
        self._max_bytes = max_bytes
        self._by_assembly: dict[str, dict[int, KnownOverlaps]] = {}  # the last used comes last
        self._sizes: dict[tuple[str, int], int] = {}
        self.nbytes = 0  # of all

    def recall(self, assembly: Choice, image: int) -> KnownOverlaps | None:
        """Return what is known of an image."""
        return self._by_assembly.get(_key(assembly), {}).get(image)

    def keep(self, assembly: Choice, image: int, known: KnownOverlaps) -> None:
        """Remember what is known of an image, if there is room."""
        key = _key(assembly)
        self._drop(key, image)
        images = self._by_assembly.pop(key, {})
        self._by_assembly[key] = images
        while self.nbytes + known.nbytes > self._max_bytes and len(self._by_assembly) > 1:
            self._forget(next(iter(self._by_assembly)))
        if self.nbytes + known.nbytes <= self._max_bytes:
            images[image] = known
            self._sizes[key, image] = known.nbytes
            self.nbytes += known.nbytes

    def _forget(self, key: str) -> None:
        for image in list(self._by_assembly[key]):
            self._drop(key, image)
        del self._by_assembly[key]

    def _drop(self, key: str, image: int) -> None:
        if (key, image) in self._sizes:
            self.nbytes -= self._sizes.pop((key, image))
            del self._by_assembly[key][image]


def _key(assembly: Choice) -> str:
    return json.dumps(assembly, sort_keys=True)
