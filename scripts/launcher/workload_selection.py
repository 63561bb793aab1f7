"""The choice of workloads of a start, and the Serve config for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deployments.domain.routing import RoutingPolicy
from features.config import known_workloads, load_sections, own_workloads
from features.locations import serve_config
from scripts.launcher import serve_settings
from scripts.launcher.user_workloads import require_modules
from training.runtime.settings import Settings


def choose(
    config: Path | None, settings: Settings, port: int, names: Sequence[str], host: str | None
) -> tuple[Sequence[str], str]:
    """Choose the workloads to start, and make the text of the Serve config for them.

    Args:
        config: the Serve config to start from, None: raysonde's own; a user's workloads need no
            application in it.
        settings: where workloads are looked for.
        port: of HTTP.
        names: those that are asked for; all when empty.
        host: address to listen on, instead of the config's.

    Raises:
        OSError: the config cannot be read, or a module of a workload is in no place.
        ValueError: there is no such workload, or its file is not one of a workload.
    """
    own = own_workloads(settings.workloads)
    known = known_workloads(settings.workloads)
    text = serve_settings.with_applications(
        (config or serve_config()).read_text(),
        {name: _arms(settings, name) for name in own if not names or name in names},
    )
    names = names or serve_settings.served_workloads(text, known)
    for name in set(names) & set(own):
        require_modules(settings, name)
    return names, serve_settings.render(text, port, known, names, host)


def _arms(settings: Settings, workload: str) -> frozenset[str]:
    routing = load_sections(settings.workloads, workload).get("routing") or {}
    return RoutingPolicy.model_validate(routing).arms
