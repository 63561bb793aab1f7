"""`make bench-bodies`: what long bodies, right and wrong ones, cost in one process.

Of each body: the status, how long the answer took and how long it is, the delay of a small prediction that is
asked again and again meanwhile, and the memory that is left. Each is sent twice, and the second is measured:
the first one brings in what stays, such as the caches of a database.
"""

from __future__ import annotations

import asyncio
import gc
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from rich.console import Console

from deployments.runtime.process_memory import trim_heap
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import LocalSystem

MIB = 1 << 20
GOOD: dict[str, Any] = instance_of(apogee_contract(), fly(5)[0][105:160], "A12")


def bodies() -> dict[str, tuple[str, bytes]]:
    """Name -> path and body."""
    unknown = {f"member_{number}": number for number in range(40_000)}
    # instances that make 10,000 of them 60 MiB long
    samples = [sample | {"pitch_deg": 80.123456, "pressure_pa": 101325.5} for sample in GOOD["samples"]]
    row = GOOD | {"samples": samples}
    batch = json.dumps({"instances": [row | {"id": str(number)} for number in range(10_000)]})
    truths = [{"id": str(number), "truth": {"apogee_m": 5}} for number in range(10_000)]
    return {
        "one right instance": ("/predict", json.dumps(GOOD).encode()),
        "unknown members": ("/predict", json.dumps(GOOD | unknown).encode()),
        "a list in place of a batch": ("/batch_predict", b"[" + b"{}," * (16 * MIB // 3) + b"{}]"),
        "a batch of {}": ("/batch_predict", b'{"instances":[' + b"{}," * (60 * MIB // 3) + b"{}]}"),
        "a batch of one text": ("/batch_predict", b'{"instances":["' + b"x" * (60 * MIB) + b'"]}'),
        "10,000 right instances": ("/batch_predict", batch.encode()),
        "10,000 instances, the last wrong": ("/batch_predict", (batch[:-3] + ',"x":1}]}').encode()),
        "10,000 right truths": ("/feedback", json.dumps({"items": truths}).encode()),
        "truths of {}": ("/feedback", b'{"items":[' + b"{}," * (60 * MIB // 3) + b"{}]}"),
    }


async def measure(
    client: httpx.AsyncClient, path: str, body: bytes
) -> tuple[httpx.Response, float, np.ndarray]:
    """Return the answer, the seconds it took, and those of the small predictions meanwhile."""
    small, delays_s = json.dumps(GOOD).encode(), []

    async def ask() -> None:
        while True:
            begin_s = time.perf_counter()
            await client.post("/predict", content=small, headers={"Raysonde-Arm": "linear"})
            delays_s.append(time.perf_counter() - begin_s)
            await asyncio.sleep(0.001)

    async def parts() -> AsyncIterator[bytes]:
        for begin in range(0, len(body), 1 << 16):
            yield body[begin : begin + (1 << 16)]
            await asyncio.sleep(0)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0.1)
    delays_s.clear()
    begin_s = time.perf_counter()
    response = await client.post(path, content=parts())
    seconds = time.perf_counter() - begin_s
    await asyncio.sleep(0.2)
    asking.cancel()
    return response, seconds, np.array(delays_s)


async def main() -> None:
    """Measure each body, and show the table as Markdown."""
    console, process = Console(width=200), psutil.Process()
    console.print("| body | MiB | status | s | answer, KiB | small: p50, p99, ms | left, MiB |")
    console.print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        system = LocalSystem(Path(folder))
        async with system.http() as client:
            for name, (path, body) in bodies().items():
                await measure(client, path, body)
                await _settle()
                before_bytes = process.memory_info().rss
                response, seconds, delays_s = await measure(client, path, body)
                status, answer_bytes = response.status_code, len(response.content)
                del response
                await _settle()
                left_bytes = process.memory_info().rss - before_bytes
                middle, late = 1000 * np.quantile(delays_s, [0.5, 0.99])
                console.print(
                    f"| {name} | {len(body) / MIB:.1f} | {status} | {seconds:.2f}"
                    f" | {answer_bytes / 1024:.1f} | {middle:.1f}, {late:.1f} | {left_bytes / MIB:.1f} |"
                )
        system.store.close()


async def _settle() -> None:
    await asyncio.sleep(2)  # the journal is written
    gc.collect()
    trim_heap()


if __name__ == "__main__":
    asyncio.run(main())
