"""Where in an application a request is addressed to."""

from __future__ import annotations

from starlette.types import Scope


def route_name(scope: Scope) -> str:
    """The path without that under which the application is mounted, as Starlette's routing has it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if path.startswith(f"{root}/") else path
