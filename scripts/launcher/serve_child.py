"""`python -m scripts.launcher.serve_child`: a new local Ray with our bounds, then Serve's own `serve run`.

`serve run` has no options for Ray's dashboard port and object store, and would join a cluster that
happens to run; so Ray is started first, and `serve run` finds it.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

import ray
import yaml
from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE

from deployments.actors import serve_without_pandas
from scripts.host.agent_port import let_ray_choose_agent_port
from scripts.host.cpus import bound_process
from scripts.launcher.scrape_targets import write_targets
from training.runtime.environment import Environment
from training.runtime.private_files import make_files_private
from training.runtime.settings import Settings

_PR_SET_PDEATHSIG = 1
_PRELOADED_BY_WORKERS = "RAY_preload_python_modules"
_RAYS_DASHBOARDS = "RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR"


def main() -> None:
    """Serve a config file until SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--dashboard-port", type=int, required=True)
    parser.add_argument("--object-store-bytes", type=int, required=True)
    options = parser.parse_args()
    _end_with_parent()
    make_files_private()
    os.environ[_PRELOADED_BY_WORKERS] = serve_without_pandas.__name__
    settings = Settings.from_environment()
    os.environ.setdefault(_RAYS_DASHBOARDS, str(settings.ray_dashboards))
    let_ray_choose_agent_port()
    context = ray.init(
        address="local",
        namespace="serve",
        num_cpus=bound_process(),
        dashboard_host="127.0.0.1",
        dashboard_port=options.dashboard_port,
        object_store_memory=options.object_store_bytes,
    )
    _write_scrape_targets(settings.targets, Path(options.config), Path(context.address_info["session_dir"]))
    from ray.serve.scripts import cli as serve_cli  # here: after `serve_without_pandas`

    serve_cli(["run", options.config])


def _write_scrape_targets(targets: Path, config: Path, session: Path) -> None:
    api_port = yaml.safe_load(config.read_text())["http_options"]["port"]
    metrics_port = Environment.read().ray_serve_haproxy_metrics_port
    write_targets(
        targets,
        f"127.0.0.1:{api_port}",
        f"127.0.0.1:{metrics_port}" if metrics_port else None,
        session / PROMETHEUS_SERVICE_DISCOVERY_FILE,
    )


def _end_with_parent() -> None:
    """Have the kernel interrupt this process when its parent is gone, however that came about."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


if __name__ == "__main__":
    main()
