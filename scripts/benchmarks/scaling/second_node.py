"""A second raylet on this machine that joins the Ray of a system: a node more, but no core more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from deployments.actors import serve_without_pandas
from scripts.benchmarks.bench.server import CannotServe
from scripts.launcher.serve_settings import OBJECT_STORE_BYTES

_ADDRESS = "--gcs-address="
# Ray drains a node for up to 30 s
_STOP_S = 35.0


@contextmanager
def second_node(system: Sequence[psutil.Process], log: Path, cores: int) -> Iterator[psutil.Process]:
    """There for as long as the context; all of it descends from the process.

    Args:
        system: processes of a system that runs.
        log: file for what it prints.
        cores: that it tells Ray of.

    Raises:
        CannotServe: no Ray runs among those processes.
    """
    address, environment = _joined(system)
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--address", address]
    command += ["--num-cpus", str(cores), "--object-store-memory", str(OBJECT_STORE_BYTES)]
    # the first node's workers and agents have the usual ones
    for port in ("min-worker", "max-worker", "dashboard-agent-listen", "dashboard-agent-grpc"):
        command += [f"--{port}-port", "0"]
    with log.open("wb") as output:
        node = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield psutil.Process(node.pid)
    finally:
        node.terminate()
        try:
            node.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()


def _joined(system: Sequence[psutil.Process]) -> tuple[str, dict[str, str]]:
    """Address of the Ray that runs there, and the environment that it was started with."""
    address, environment = "", {}
    for process in system:
        try:
            words = process.cmdline()
            if "scripts.launcher.serve_child" in words:
                environment = process.environ()
        except psutil.Error:
            continue
        address = next((word[len(_ADDRESS) :] for word in words if word.startswith(_ADDRESS)), address)
    if not address or not environment:
        raise CannotServe("no Ray was found among its processes")
    return address, environment | {"RAY_preload_python_modules": serve_without_pandas.__name__}
