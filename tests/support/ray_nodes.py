"""A Ray cluster of nodes on this machine, for tests. Nothing of it outlives the block."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RAY = [str(Path(sys.executable).parent / "ray"), "start", "--num-cpus=1", "--block"]
# Little memory for objects, which are never large here, and nothing sent to anybody.
QUIET = ["--object-store-memory=80000000", "--disable-usage-stats"]


class Cluster:
    """A head node with one CPU, and nodes that are added and killed, each of one CPU."""

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{_free_port()}"
        port = self.address.rpartition(":")[2]
        head = ["--head", f"--port={port}", "--include-dashboard=false"]
        self._nodes = [self._started([*RAY, *head, *QUIET])]
        self._wait_for_port(int(port))

    def add(self, *, around: tuple[str, ...] = ()) -> int:
        """Start a node and return its place; `around` is a command that runs it."""
        self._nodes.append(self._started([*around, *RAY, f"--address={self.address}", *QUIET]))
        return len(self._nodes) - 1

    def kill(self, place: int) -> None:
        """End a node as a loss of power does: all of its processes at once, with SIGKILL."""
        node = self._nodes[place]
        for pid in descendants(node.pid):
            kill(pid)
        node.wait()

    def kill_tasks(self, place: int) -> None:
        """Kill the processes of a node that are at a task, as a lack of memory does."""
        for pid in descendants(self._nodes[place].pid):
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::_on_node"):
                kill(pid)

    def size(self) -> int:
        """How many nodes have joined."""
        code = "import ray; ray.init(log_to_driver=False); print(len(ray.nodes()))"
        environment = {**os.environ, "RAY_ADDRESS": self.address}
        asked = [sys.executable, "-c", code]
        told = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True)
        return int(told.stdout)

    def close(self) -> None:
        """Kill what is left, the head node last."""
        for place in reversed(range(len(self._nodes))):
            self.kill(place)

    def _started(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("RAY_ADDRESS", None)
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, "the head node does not start"
                time.sleep(0.1)
            else:
                return


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Give a cluster of a head node."""
    made = Cluster()
    try:
        yield made
    finally:
        made.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """A process and all below it. Workers are in sessions of their own."""
    table = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True
    ).stdout
    children: dict[int, list[int]] = {}
    for line in table.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
