"""A real MLflow server, as a cluster has one: artifacts go through it, and nobody sees its disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.system import free_port, wait_until

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Its address; its database and artifacts are in `folder`."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    log = folder / "server.log"
    with log.open("wb") as output:
        # no jobs of its own: they need workers that nobody here asks
        server = subprocess.Popen(
            command,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: _answers(server, url, log), START_TIMEOUT_S, "the MLflow server answers")
        yield url
    finally:
        server.terminate()
        server.wait(STOP_TIMEOUT_S)


def _answers(server: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert server.poll() is None, f"`mlflow server` ended: {log.read_text()[-3000:]}"
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False
