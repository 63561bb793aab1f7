"""The row of a version in a registry, before its bundle is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class VersionRow:
    """A version as the registry has it.

    Attributes:
        name: of the registered model, `<workload>.<family>`.
        source: path or URI of its bundle.
        run_id: empty where it was made without a run.
        bundle: the tag with the content hash, if it has one.
        metrics: of its run, the newest of each; None where the run is gone.
        aliases: sorted.
    """

    name: str
    version: int
    source: str
    run_id: str
    created_at_ms: int
    bundle: str | None
    metrics: Mapping[str, float] | None
    aliases: tuple[str, ...]
