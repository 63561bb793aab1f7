"""Starting one node: the call of `ray start`, and what a head does beside it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.console import Console
from ulid_transform import ulid_now

from scripts.host.cpus import bound_threads
from scripts.host.failure import print_failure
from scripts.host.interruption import Interruption
from scripts.host.processes import RUN_ID_VARIABLE
from scripts.host.ray_address import forget_dead_address
from scripts.launcher.node_environment import node_environment
from scripts.launcher.serve_settings import (
    OBJECT_STORE_BYTES,
    read_or_create_ray_token,
    write_ray_commands_file,
)
from scripts.launcher.supervisor import ChildDied, Supervisor
from training.runtime.settings import Settings

_POLL_S = 0.5
_PROBE_TIMEOUT_S = 5.0
_START_SERVING_S = 120.0
# the replicas' own time to end, and Serve's
_END_SERVING_S = 25.0


class ServeRefused(RuntimeError):
    """Serve will not serve what it was told to; the message says why."""


@dataclass(frozen=True)
class NodePorts:
    """The ports of a node; two nodes on one machine need two of each.

    Attributes:
        metrics: of Ray's Prometheus text.
        agent: of Ray's agent, which tells how the node is.
    """

    metrics: int
    agent: int


def ray_start(ports: NodePorts, environment: MutableMapping[str, str]) -> list[str]:
    """Return the beginning of `ray start` for any node; completes `environment` in place.

    Raises:
        ValueError: RAYSONDE_CPUS says nothing that can be meant.
    """
    cpus = bound_threads(environment)
    environment.update(node_environment(environment))
    environment.setdefault("RAY_AUTH_MODE", "token")
    # whatever folder Ray's processes work in
    environment["RAYSONDE_VAR"] = str(Settings.from_environment().var)
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats"]
    command += [f"--metrics-export-port={ports.metrics}", f"--dashboard-agent-listen-port={ports.agent}"]
    command += [f"--object-store-memory={OBJECT_STORE_BYTES}"]
    return command if cpus is None else [*command, f"--num-cpus={cpus}"]


def run_head(
    console: Console, settings: Settings, command: list[str], serve_config: str, dashboard_port: int
) -> int:
    """Run the head until somebody asks to stop; the exit code.

    Args:
        console: where it is told how far the start is.
        settings: where Ray's token is made, if the environment names none.
        command: of `ray start`.
        serve_config: what it is to serve; each start brings it anew.
        dashboard_port: Ray's, on this machine.
    """
    run_id = ulid_now()
    environment = dict(os.environ) | {RUN_ID_VARIABLE: run_id}
    url = f"http://127.0.0.1:{dashboard_port}"
    dashboard = Dashboard(url, _token(settings, environment, url))
    ray = Supervisor(command, environment, None, run_id, ())
    with Interruption() as interruption, contextlib.closing(dashboard):
        try:
            ray.start()
            dashboard.wait(ray.check, interruption)
            if not interruption.requested:
                dashboard.serve(yaml.safe_load(serve_config))
                console.print("Ray runs, and has been told what to serve.", highlight=False)
            code = ray.wait(interruption)
            if code is None:
                dashboard.end_serving()
        except (ChildDied, ServeRefused, httpx.HTTPError) as error:
            print_failure(console, "not running", error)
            code = 1
        finally:
            ray.stop(interruption)
            forget_dead_address(environment)
    return code or 0


def _token(settings: Settings, environment: MutableMapping[str, str], dashboard_url: str) -> str:
    """Return Ray's token as the environment has it, else one of ours, which goes there and into `var/`."""
    from training.runtime.environment import Environment  # here: see there

    variables = Environment.of(environment)
    if token := variables.ray_auth_token.get_secret_value():
        return token
    if variables.ray_auth_token_path:
        return variables.ray_auth_token_path.read_text().strip()
    settings.var.mkdir(parents=True, exist_ok=True)
    write_ray_commands_file(settings.var, dashboard_url)
    environment["RAY_AUTH_TOKEN"] = read_or_create_ray_token(settings.var)
    return environment["RAY_AUTH_TOKEN"]


class Dashboard:
    """Ray's dashboard, where Serve is told what to serve, as KubeRay's operator does.

    Args:
        url: without a slash at the end.
        token: Ray's.
        transport: for tests.
    """

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_PROBE_TIMEOUT_S, transport=transport
        )

    def wait(self, check: Callable[[], None], interruption: Interruption) -> None:
        """Wait until it answers, or somebody asks to stop; what `check` raises comes through.

        Args:
            check: sees that Ray is alive.
            interruption: somebody's wish.
        """
        while not interruption.wait(_POLL_S):
            check()
            with contextlib.suppress(httpx.HTTPError):
                if self._http.get("/api/version").is_success:
                    return

    def serve(self, config: dict[str, Any]) -> None:
        """Tell Serve what to serve; it starts within this call, and its replicas behind it.

        Raises:
            ServeRefused: it will not.
            httpx.HTTPError: it does not answer.
        """
        response = self._http.put("/api/serve/applications/", json=config, timeout=_START_SERVING_S)
        if response.is_error:
            # it may be a traceback, whose last line says what is wrong
            lines = response.text.strip().splitlines() or ["no reason given"]
            raise ServeRefused(f"Serve refused its config with {response.status_code}: {lines[-1]}")

    def end_serving(self) -> None:
        """End Serve in good order, so that no answer is lost; best effort, since Ray ends next."""
        deadline_s = time.monotonic() + _END_SERVING_S
        with contextlib.suppress(httpx.HTTPError):
            self._http.delete("/api/serve/applications/", timeout=_END_SERVING_S)
            while time.monotonic() < deadline_s:
                if not self._http.get("/api/serve/applications/").json().get("applications"):
                    return
                time.sleep(_POLL_S)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()
