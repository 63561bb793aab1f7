"""Additions of a start to `serve_config.yaml`: a port, a choice of workloads, an environment."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.host.processes import RUN_ID_VARIABLE
from scripts.launcher.node_environment import COMMON, behind_haproxy
from scripts.launcher.profile import Profile

# plasma holds request batches and training tables here, never models: small, so that it fits a laptop
OBJECT_STORE_BYTES = 300 * 1024 * 1024

# of the arms of a workload, as `serve_config.yaml` has it; docs/explanation/autoscaling.md says why
AUTOSCALING: Mapping[str, Any] = {
    "policy": {"policy_function": "deployments.actors.autoscaling_policy:by_calls_in_flight"},
    "min_replicas": 1,
    "max_replicas": 2,
    "target_ongoing_requests": 0.02,
    "look_back_period_s": 12,
    "upscale_delay_s": 5,
    "downscale_delay_s": 30,
}
# the scaler has a call until its arms have answered
SCALER_AUTOSCALING: Mapping[str, Any] = {**AUTOSCALING, "target_ongoing_requests": 0.1}
# a start would join that cluster, or bring a token that this one does not have
_NAME_ANOTHER_CLUSTER = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN")


def render(
    config_text: str, port: int, known: Sequence[str], chosen: Sequence[str], host: str | None = None
) -> str:
    """Return the Serve config with another port and, of the applications of workloads, only the chosen.

    Args:
        config_text: text of `serve_config.yaml`.
        port: of HTTP.
        known: all workloads that there are.
        chosen: those to start; must be known and have an application.
        host: address to listen on, instead of the config's.

    Raises:
        ValueError: a chosen workload has no application in the config.
    """
    config: dict[str, Any] = yaml.safe_load(config_text)
    served = served_workloads(config_text, known)
    missing = sorted(set(chosen) - set(served))
    if missing:
        raise ValueError(f"WORKLOADS: got {' '.join(missing)}, expected some of: {' '.join(served)}")
    dropped = set(served) - set(chosen)
    config["applications"] = [app for app in config["applications"] if app["name"] not in dropped]
    for app in config["applications"]:
        # the application at the root is told which workloads there are
        if "workloads" in app.get("args", {}):
            app["args"]["workloads"] = [name for name in app["args"]["workloads"] if name not in dropped]
    config.setdefault("http_options", {})["port"] = port
    if host is not None:
        config["http_options"]["host"] = host
    return yaml.safe_dump(config, sort_keys=False)


def served_workloads(config_text: str, known: Sequence[str]) -> list[str]:
    """Return the workloads that have an application in the config, in its order."""
    return [app["name"] for app in yaml.safe_load(config_text)["applications"] if app["name"] in known]


def with_applications(config_text: str, arms: Mapping[str, Iterable[str]]) -> str:
    """Return the Serve config with an application for each workload that has none, known to the root too.

    Args:
        config_text: text of `serve_config.yaml`.
        arms: names of the arms, by workload.
    """
    config: dict[str, Any] = yaml.safe_load(config_text)
    applications = config["applications"]
    missing = [name for name in arms if name not in {app["name"] for app in applications}]
    roots = [app for app in applications if "workloads" in app.get("args", {})]
    added = [_application(name, arms[name], own_lifecycle_controller=not roots) for name in missing]
    config["applications"] = [*added, *applications]
    for root in roots:
        root["args"]["workloads"] += missing
    return yaml.safe_dump(config, sort_keys=False)


def _application(workload: str, arms: Iterable[str], *, own_lifecycle_controller: bool) -> dict[str, Any]:
    """Replicas and claims of CPU as those of the applications in `serve_config.yaml`."""
    light = {"ray_actor_options": {"num_cpus": 0.01}}
    parts: list[dict[str, Any]] = [
        {
            "name": "Router",
            "num_replicas": 1,
            "max_ongoing_requests": 512,
            "max_queued_requests": 512,
            "backpressure_config": {"retry_after_s": 1},
            "ray_actor_options": {"num_cpus": 0.05},
        }
    ]
    calls = {"max_ongoing_requests": 64}
    by_load = {"FeatureScaler": SCALER_AUTOSCALING} | dict.fromkeys(sorted(arms), AUTOSCALING)
    parts += [
        {"name": name} | calls | {"autoscaling_config": dict(how)} | light for name, how in by_load.items()
    ]
    if own_lifecycle_controller:
        parts.append({"name": "LifecycleController", "num_replicas": 1} | light)
    return {
        "name": workload,
        "route_prefix": f"/{workload}",
        "import_path": "deployments.app:build",
        "args": {"workload": workload}
        | ({} if own_lifecycle_controller else {"own_lifecycle_controller": False}),
        "deployments": parts,
    }


@dataclass(frozen=True)
class ProxyPorts:
    """Ports on loopback, beside the port of the API.

    Attributes:
        metrics: of HAProxy's Prometheus text.
        stats: of HAProxy's status page.
        fallback: of the proxy that HAProxy asks while no replica is there. Serve shares it with every other
            system of the machine that has the same, which would answer for this one.
    """

    metrics: int
    stats: int
    fallback: int


def child_environment(
    base: Mapping[str, str], *, run_id: str, profile: Profile, var: Path, ports: ProxyPorts
) -> dict[str, str]:
    """Return the environment of everything that a start makes.

    Args:
        base: what to start from, for example `os.environ`.
        run_id: the mark of this start.
        profile: see `Profile`.
        var: the state folder of all of them; Ray's token goes there.
        ports: of the fast profile.
    """
    from training.runtime.environment import Environment  # here: see there

    environment = {name: value for name, value in base.items() if name not in _NAME_ANOTHER_CLUSTER}
    if profile is Profile.FAST:
        environment |= behind_haproxy(base) | {
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.metrics),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.stats),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback),
        }
    else:
        for name in behind_haproxy(base, lambda: ""):  # an image has them for its nodes
            environment.pop(name, None)
        environment["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] = "deployments.http.proxy_errors:middlewares"
    return {
        **environment,
        **COMMON,
        RUN_ID_VARIABLE: run_id,
        # whatever folder a process works in
        "RAYSONDE_VAR": str(var),
        "RAYSONDE_PROFILE": profile.value,
        # all replicas are on this machine: no other needs to reach them
        "RAYSONDE_DIRECT_CALLS": Environment.of(base).direct_calls or "loopback",
        # pages of other sites could otherwise reach the dashboard's job API through the browser
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(ray_token_file(var)),
    }


def ray_token_file(var: Path) -> Path:
    """Return the path of Ray's own token, which its dashboard asks for."""
    return var / "ray-token"


def ray_commands_file(var: Path) -> Path:
    """Return the file that a shell reads before Ray's own commands: `. var/ray.env`."""
    return var / "ray.env"


def write_ray_commands_file(var: Path, dashboard_url: str) -> Path:
    """Write what `serve`, `ray job` and `ray list` need to reach the system that `var` belongs to.

    They send a token only if RAY_AUTH_MODE says so, and look for it in RAY_AUTH_TOKEN first. The file holds
    the path of the token's file, and not the token.

    Args:
        var: the state folder, which has the token's file.
        dashboard_url: without a slash at the end.
    """
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(ray_token_file(var)),
        "RAY_DASHBOARD_ADDRESS": dashboard_url,  # of `serve`
        "RAY_API_SERVER_ADDRESS": dashboard_url,  # of `ray job` and `ray list`
    }
    lines = [
        "unset RAY_AUTH_TOKEN",
        *(f"export {name}={shlex.quote(text)}" for name, text in variables.items()),
    ]
    path = ray_commands_file(var)
    path.write_text("\n".join(lines) + "\n")
    return path


def read_or_create_ray_token(var: Path) -> str:
    """Read the token; the first start makes it, readable by its owner only."""
    path = ray_token_file(var)
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text().strip()
