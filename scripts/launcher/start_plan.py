"""The plan of `raysonde up`, made before anything is started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from scripts.launcher.preflight import free_port
from scripts.launcher.profile import Profile
from scripts.launcher.serve_settings import ProxyPorts, child_environment, read_or_create_ray_token
from training.runtime.settings import Settings

_METRICS_PORT = 9101
_STATS_PORT = 8404
_FALLBACK_PORT = 8500


@dataclass(frozen=True)
class Plan:
    """The plan of one start.

    Attributes:
        settings: paths.
        workloads: names of those to serve.
        serve_config: text of the rendered Serve config.
        port: of HTTP.
        dashboard_port: of Ray's dashboard.
        profile: see `Profile`.
        run_id: the mark that every process of the start carries.
    """

    settings: Settings
    workloads: tuple[str, ...]
    serve_config: str
    port: int
    dashboard_port: int
    profile: Profile
    run_id: str

    @property
    def api_url(self) -> str:
        """Return the URL of Serve's HTTP, as this machine reaches it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def dashboard_url(self) -> str:
        """Return the URL of Ray's dashboard."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def ports(self) -> tuple[int, ...]:
        """Return the ports that must be free before and after."""
        return (self.port, self.dashboard_port)

    @property
    def log(self) -> Path:
        """Return the file of what Ray and Serve print."""
        return self.settings.var / "logs" / "serve.log"

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of the start. Makes Ray's token."""
        read_or_create_ray_token(self.settings.var)
        return child_environment(
            os.environ,
            run_id=self.run_id,
            profile=self.profile,
            var=self.settings.var,
            ports=ProxyPorts(free_port(_METRICS_PORT), free_port(_STATS_PORT), free_port(_FALLBACK_PORT)),
        )
