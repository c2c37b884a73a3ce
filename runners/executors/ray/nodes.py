"""The nodes of a Ray cluster: joining them, and whether each of them can take part."""

import logging
import os
import socket
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

from runners.executors.ray.shared_folder import Mark, appears, objection
from runners.system.environment import SOURCE_TREE
from runners.system.progress import PLAIN
from yolact_bench.errors import SpecError, first_line

_PROBE_SECONDS = 120.0  # for a node to start a process and look at the work directory
_REACH_SECONDS = 10.0
_FORWARDED = ("OMP_NUM_THREADS", "YOLACT_BENCH_LOG_LEVEL", "YOLACT_DATA")
_START = (
    "start one with `ray start --head --port 6379` on this machine and `ray start --address "
    "HOST:6379` on the others, or name one that this machine is part of with --address HOST:6379"
)


class Nodes:
    """The nodes that are alive at each call. `ray` is the package."""

    def __init__(self, ray: ModuleType, *, kind: str, need: int) -> None:
        self._ray = ray
        self._kind, self._need = kind, need  # what an arm takes: GPU, 2

    def connect(self, address: str | None) -> None:
        """Join a cluster that runs. One is never started: it would be of this machine alone.

        Raises:
            SpecError: there is none, this machine is not part of it, or its Ray is another.
        """
        target = address or os.environ.get("RAY_ADDRESS") or "auto"
        if target.startswith("ray://"):
            raise SpecError(
                f"--address {target}: give HOST:6379, on a machine of the cluster; this process "
                "writes the results, and must see the work directory"
            )
        try:
            _reach(target)
            self._ray.init(
                address=target,
                namespace="yolact-bench",
                runtime_env={"env_vars": _environment()},
                logging_level=logging.WARNING,
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            message = f"no Ray cluster can be joined ({reason}); {_START}"
            if "ersion mismatch" in reason:
                message = f"{reason}; install the same versions on all machines"
            raise SpecError(f"--address {target}: {message}") from error

    def room(self, barred: Collection[str] = ()) -> int:
        """Return how many arms fit on all nodes but those barred, side by side."""
        nodes = [node for node in self._alive() if node["NodeID"] not in barred]
        return sum(self._has(node) // self._need for node in nodes)

    def all_but(self, barred: Collection[str]) -> object:
        """Return the scheduling strategy that avoids some nodes."""
        strategies = self._ray.util.scheduling_strategies
        if not barred:
            return "DEFAULT"
        elsewhere = {"ray.io/node-id": strategies.NotIn(*barred)}
        return strategies.NodeLabelSchedulingStrategy(hard=elsewhere)

    def check_room(self) -> None:
        """Check that some node can take an arm.

        Raises:
            SpecError: none can, and Ray would wait for one without end.
        """
        if self.room():
            return
        offers = ", ".join(f"{_name(node)} {self._has(node)}" for node in self._alive())
        raise SpecError(
            f"--executor ray: an arm needs {self._need} {self._kind} of one node, and no node has "
            f"that many ({offers}); give fewer --devices, another --device, or start such a node"
        )

    def check(self, mark: Mark) -> None:
        """Have every node find the mark in the work directory, and find every node's answer.

        Raises:
            SpecError: naming the nodes that cannot take part, and why.
        """
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        probe = self._ray.remote(objection)
        tasks = []
        for node in self._alive():
            there = affinity(node["NodeID"], soft=False)
            on_node = probe.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
            tasks.append((node, on_node.remote(mark, node=node["NodeID"])))
        answers = [(node, self._answer(task, mark, node["NodeID"])) for node, task in tasks]
        objections = [f"node {_name(node)} {why}" for node, why in answers if why is not None]
        if objections:
            raise SpecError(f"--executor ray: {'; '.join(objections)}")

    def _answer(self, task: object, mark: Mark, node: str) -> str | None:
        try:
            why: str | None = self._ray.get(task, timeout=_PROBE_SECONDS)
        except self._ray.exceptions.RayTaskError as error:
            cause = str(error).strip().splitlines()[-1]
            return f"cannot run the code of {SOURCE_TREE} ({cause}); install it there"
        except self._ray.exceptions.RayError as error:
            return f"does not answer ({first_line(error)}); look at it with `ray status`"
        if why is None and not appears(mark.folder / node):
            return f"writes to another folder at {mark.work_dir}; mount the same storage"
        return why

    def _alive(self) -> list[Mapping[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _has(self, node: Mapping[str, Any]) -> int:
        return int(node["Resources"].get(self._kind, 0))


def _reach(address: str) -> None:
    """Check that a server listens at HOST:PORT; Ray would try for minutes, and end the process.

    Raises:
        OSError: none does.
    """
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()


def _environment() -> dict[str, str]:
    """What processes on the nodes have in their environment: this code first, where it is there."""
    forwarded = {name: os.environ[name] for name in _FORWARDED if os.environ.get(name)}
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if SOURCE_TREE.name not in ("site-packages", "dist-packages"):
        paths.insert(0, str(SOURCE_TREE))
    return {**forwarded, PLAIN: "1", **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
