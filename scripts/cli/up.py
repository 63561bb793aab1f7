"""`raysonde up`: from nothing to a system that answers, and back to nothing at Ctrl-C."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console

from scripts.cli.common.options import ServeConfigOption, WorkloadsDirOption
from scripts.launcher.profile import Profile


def up(
    port: Annotated[int, typer.Option(help="Port of the API and the console.")] = 8000,
    host: Annotated[
        str | None, typer.Option(help="Address of the API to listen on, instead of the config's (loopback).")
    ] = None,
    dashboard_port: Annotated[int, typer.Option(help="Port of Ray's dashboard, on loopback.")] = 8265,
    profile: Annotated[
        Profile, typer.Option(help="fast: behind HAProxy; plain: Serve's own proxy.")
    ] = Profile.FAST,
    workloads: Annotated[str, typer.Option(help="Names, separated by spaces; all when empty.")] = "",
    config: ServeConfigOption = None,
    workloads_dir: WorkloadsDirOption = None,
) -> None:
    """Start everything, stay in the foreground, and stop everything at Ctrl-C.

    Trains the first models when the registry has none. Workloads of --workloads-dir need no application in
    the Serve config. RAYSONDE_CPUS=half keeps to half of the cores, or to as many as it says. Examples:

        raysonde up

        raysonde up --port 8010 --dashboard-port 8275 --workloads apogee

        raysonde up --workloads-dir my_folder --workloads mine
    """
    begun_s = time.monotonic()
    from scripts.launcher.start import StartRequest, start
    from scripts.launcher.user_workloads import settings_with

    names = tuple(workloads.replace(",", " ").split())
    request = StartRequest(port, host, dashboard_port, profile, names, config)
    start(Console(), settings_with(workloads_dir), request, begun_s)
