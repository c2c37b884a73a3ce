"""A helper process: its calls, and the object that it owns between them."""

import os

from runners.system.helper_process import HelperProcess


class Counter:
    """Counts in the process that owns it."""

    def __init__(self, start: int) -> None:
        self.value = start

    def add(self, number: int) -> tuple[int, int]:
        """Return the sum, and the process."""
        self.value += number
        return self.value, os.getpid()


def test_a_helper_keeps_the_object_that_it_owns_between_calls() -> None:
    with HelperProcess() as helper:
        helper.send_new(Counter, 10)
        helper.send_to_owned(Counter.add, 1)
        helper.send_to_owned(Counter.add, 2)
        answers = [helper.receive() for _ in range(3)]

    assert answers[0] is None
    (first, process), (second, _) = answers[1:]
    assert (first, second) == (11, 13)
    assert process != os.getpid()
