"""The path of a request within its application."""

from __future__ import annotations

from starlette.types import Scope


def route_name(scope: Scope) -> str:
    """Return the path without the prefix of the mounted application, as Starlette's routing has it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if path.startswith(f"{root}/") else path
