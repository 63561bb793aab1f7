"""A version in the registry, whoever reads it: MLflow's client, or the readers without MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlparse

from training.runtime.artifact_server import download_file, is_remote

HASH_TAG = "bundle"
CHAMPION = "champion"
CHALLENGER = "challenger"


@dataclass(frozen=True)
class ModelVersion:
    """A version of an arm's registered model.

    Attributes:
        bundle: content hash.
        source: where the bundle lies: a path, or a URI for `training.runtime.artifact_server`.
        metrics: of the run that made it.
    """

    workload: str
    arm: str
    version: str
    bundle: str
    source: str
    run_id: str
    created_at_ms: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnreadableVersion:
    """A version that the registry names, and that cannot be served.

    Attributes:
        version: its number; one that an alias names may be gone.
        reason: why it cannot be read.
    """

    workload: str
    arm: str
    version: str
    reason: str


def bundle_hash_at(source: str, registry_uri: str) -> str:
    """Return the content hash of the bundle at a path or URI.

    Raises:
        BundleError: there is no sound bundle.
        OSError: it cannot be read.
    """
    # numpy, for the few versions that were made without the tag
    from training.runtime.bundle import read_content_hash
    from training.runtime.manifest import MANIFEST

    if not is_remote(source):
        return read_content_hash(Path(source))
    with tempfile.TemporaryDirectory() as folder:
        download_file(source, registry_uri, MANIFEST, Path(folder))
        return read_content_hash(Path(folder))


def path_or_uri(uri: str) -> str:
    """Return the path that a `file` URI names, and any other URI as it is."""
    parsed = urlparse(uri)
    return unquote(parsed.path) if parsed.scheme in ("", "file") else uri
