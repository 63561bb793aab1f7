"""What the code says of itself, for tests of files that tell it something."""

from __future__ import annotations

from training.runtime.settings import REPOSITORY

_PACKAGES = ("features", "training", "deployments", "scripts")


def is_read(variable: str) -> bool:
    """Whether some file of ours names this environment variable, or the one whose file it names."""
    names = {f'"{variable}"', f'_url("{variable.removesuffix("_FILE")}"', f"${{{variable}", f"${variable}"}
    return any(
        name in path.read_text()
        for package in _PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.suffix == ".py" or path.name == "haproxy-wrapper"
        for name in names
    )
