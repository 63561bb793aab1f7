"""Versions of a workload, all or the champions, for a command that answers at once.

MLflow takes three seconds of a core to import, whichever part is wanted: its package imports all of them. Its
database and its server are therefore read directly, and its client only asked where they cannot be.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from training.registry.errors import RegistryUnreadable
from training.registry.model_version import CHAMPION, ModelVersion, bundle_hash_at, path_or_uri
from training.registry.version_row import VersionRow
from training.runtime.errors import BundleError
from training.runtime.settings import Settings

if TYPE_CHECKING:
    from training.registry.models import Registry

T = TypeVar("T")

log = logging.getLogger(__name__)

# what changes how MLflow's client finds or reaches its server, and is left to it
_MLFLOWS_OWN = (
    "MLFLOW_ENABLE_WORKSPACES",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_WORKSPACE",
)


def list_versions(
    settings: Settings, workload: str, environment: Mapping[str, str] = os.environ
) -> list[ModelVersion]:
    """Return all versions of all arms, by arm and newest first; a registry that is not there has none.

    What cannot be read as a bundle is left out, and logged, as `Registry.versions` does.

    Args:
        settings: name the registry.
        workload: whose versions.
        environment: may hold MLflow's own variables.

    Raises:
        RegistryUnreadable: it does not answer as a registry.
    """
    rows = _read(settings.registry_uri, workload, environment)
    if rows is None:
        return _by_mlflow(settings, lambda registry: registry.versions(workload))
    return _readable(rows, settings.registry_uri)


def list_champions(
    settings: Settings, workload: str, environment: Mapping[str, str] = os.environ
) -> dict[str, ModelVersion]:
    """Return the version with the alias `champion` of each arm that has one, as `Registry.champions` does.

    Args:
        settings: name the registry.
        workload: whose versions.
        environment: may hold MLflow's own variables.

    Raises:
        RegistryUnreadable: it does not answer as a registry.
    """
    rows = _read(settings.registry_uri, workload, environment, CHAMPION)
    if rows is None:
        return _by_mlflow(settings, lambda registry: registry.champions(workload))
    return {found.arm: found for found in _readable(rows, settings.registry_uri)}


def has_champion(settings: Settings, workload: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether an arm has a version with the alias `champion`, be its bundle readable now or later.

    Args:
        settings: name the registry.
        workload: whose versions.
        environment: may hold MLflow's own variables.

    Raises:
        RegistryUnreadable: it does not answer as a registry.
    """
    rows = _read(settings.registry_uri, workload, environment, CHAMPION)
    if rows is None:
        return not _by_mlflow(settings, lambda registry: registry.is_empty(workload))
    return bool(rows)


def _readable(rows: list[VersionRow], registry_uri: str) -> list[ModelVersion]:
    rows.sort(key=lambda row: (row.name, -row.version))
    found = (_described(row, registry_uri) for row in rows)
    return [version for version in found if version is not None]


def _read(
    uri: str, workload: str, environment: Mapping[str, str], alias: str | None = None
) -> list[VersionRow] | None:
    """Read the versions, or those with an alias; None where only MLflow itself knows how."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if any(environment.get(name) for name in _MLFLOWS_OWN):
        return None
    if scheme in ("sqlite", "postgresql"):
        from training.registry import sql_reader

        return sql_reader.read_versions(uri, workload, alias)
    if scheme in ("http", "https"):
        from training.registry import rest_reader

        return rest_reader.read_versions(uri, workload, environment, alias)
    return None


def _by_mlflow(settings: Settings, ask: Callable[[Registry], T]) -> T:
    """Ask MLflow's client; its errors are those of this module."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # only MLflow knows this registry: tables of another version, a scheme or a way to sign in of its own
    from training.registry.models import Registry

    try:
        return ask(Registry(settings))
    except (CommandError, MlflowException, SQLAlchemyError, OSError) as error:
        raise RegistryUnreadable.because_of(error, settings.registry_uri) from error


def _described(row: VersionRow, registry_uri: str) -> ModelVersion | None:
    workload, _, arm = row.name.partition(".")
    source = path_or_uri(row.source)
    try:
        bundle = row.bundle or bundle_hash_at(source, registry_uri)
        if row.metrics is None:
            raise FileNotFoundError(f"the run {row.run_id} that made it is gone")
    except (BundleError, OSError) as error:
        log.warning("model version %s %s left out: %s", row.name, row.version, error)
        return None
    return ModelVersion(
        workload=workload,
        arm=arm,
        version=str(row.version),
        bundle=bundle,
        source=source,
        run_id=row.run_id,
        created_at_ms=row.created_at_ms,
        metrics=row.metrics,
        aliases=row.aliases,
    )
