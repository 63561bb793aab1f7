"""`raysonde node head|worker`: one node of a cluster of one's own, such as compose.yaml's.

KubeRay starts its nodes itself, with the environment that the image has.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console

from scripts.cli.common.groups import command_group
from scripts.cli.common.options import ServeConfigOption, WorkloadsDirOption
from scripts.host.failure import exit_on

app = command_group(
    """Run one node of a cluster, in the foreground. The nodes share the store and the registry
    (RAYSONDE_STORE_URL, RAYSONDE_REGISTRY_URI) and Ray's token (RAY_AUTH_TOKEN_PATH). Examples:

    raysonde node head --host 0.0.0.0

    raysonde node worker head:6379
    """,
)

_MetricsPort = Annotated[int, typer.Option(help="Port of Ray's metrics, for Prometheus.")]
_AgentPort = Annotated[int, typer.Option(help="Port of Ray's agent: /api/local_raylet_healthz.")]


@app.command()
def head(
    host: Annotated[str, typer.Option(help="Address of the API and of Ray's dashboard.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API and the console.")] = 8000,
    dashboard_port: Annotated[int, typer.Option(help="Port of Ray's dashboard.")] = 8265,
    ray_port: Annotated[int, typer.Option(help="Port that the other nodes join.")] = 6379,
    metrics_port: _MetricsPort = 8080,
    agent_port: _AgentPort = 52365,
    workloads: Annotated[str, typer.Option(help="Names, separated by spaces; all when empty.")] = "",
    config: ServeConfigOption = None,
    workloads_dir: WorkloadsDirOption = None,
) -> None:
    """Start the head, and have it serve; the models must be there (`raysonde train --missing`)."""
    from scripts.launcher.node_start import NodePorts, ray_start, run_head
    from scripts.launcher.user_workloads import settings_with
    from scripts.launcher.workload_selection import choose

    console = Console()
    settings = settings_with(workloads_dir)
    names = workloads.replace(",", " ").split()
    with exit_on(console, "cannot start", OSError, ValueError):
        _, serve_config = choose(config, settings, port, names, host)
        command = ray_start(NodePorts(metrics_port, agent_port), os.environ)
    command += ["--head", f"--port={ray_port}"]
    command += [f"--dashboard-host={host}", f"--dashboard-port={dashboard_port}"]
    raise typer.Exit(run_head(console, settings, command, serve_config, dashboard_port))


@app.command()
def worker(
    address: Annotated[str, typer.Argument(help="Of the head, HOST:PORT.")],
    metrics_port: _MetricsPort = 8080,
    agent_port: _AgentPort = 52365,
) -> None:
    """Start a worker, which ends when the head is gone for good."""
    from scripts.launcher.node_start import NodePorts, ray_start

    with exit_on(Console(), "cannot start", ValueError):
        command = ray_start(NodePorts(metrics_port, agent_port), os.environ)
    os.execvp(command[0], [*command, f"--address={address}"])
