"""Places of the files that come with raysonde, and of its state unless another one is set.

The packages and `configs/` lie side by side: in the folder of a checkout, or in `site-packages`, where a
wheel brings them.
"""

from __future__ import annotations

from pathlib import Path

_HOME = Path(__file__).resolve().parent.parent


def checkout(home: Path = _HOME) -> Path | None:
    """Return the folder of the source tree, or None where raysonde is installed without one.

    Args:
        home: the folder in which the packages lie.
    """
    return home if (home / "pyproject.toml").is_file() else None


def configs() -> Path:
    """Return the folder of the built-in workloads and of the files for Prometheus and Grafana."""
    return _HOME / "configs"


def serve_config() -> Path:
    """Return the Serve config that comes with raysonde; a checkout has it at its root as well, by a link."""
    return configs() / "serve_config.yaml"


def haproxy_wrapper() -> Path:
    """Return the program that Serve starts as HAProxy."""
    return _HOME / "scripts" / "haproxy-wrapper"


def state_folder(home: Path = _HOME) -> Path:
    """Return `var` of the checkout, or of the current folder where there is none; `home` as of `checkout`."""
    return (checkout(home) or Path.cwd()) / "var"
