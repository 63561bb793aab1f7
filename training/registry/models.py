"""The MLflow registry: one registered model `<workload>.<family>` an arm, whose versions are bundles.

A bundle lies in the artifacts of the run that made it; the version's tag `bundle` holds its content hash.
The registry is a database with its artifacts beside it, or an MLflow server, which keeps artifacts itself.
Versions made by hand, with plain MLflow calls, are as good: without the tag, the hash is read from the files.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow.entities.model_registry as mlflow_registry
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from training.registry.model_version import (
    CHALLENGER,
    CHAMPION,
    HASH_TAG,
    ModelVersion,
    UnreadableVersion,
    bundle_hash_at,
    path_or_uri,
)
from training.runtime.artifact_server import is_remote
from training.runtime.bundle import read_bundle
from training.runtime.errors import BundleError
from training.runtime.retry_schedule import RetrySchedule
from training.runtime.settings import Settings

__all__ = ["ModelVersion", "Registry"]

log = logging.getLogger(__name__)

ARTIFACT_FOLDER = "bundle"
_PAGE = 1000
# A bundle that could not be read may be there later, or mended.
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 300.0


class Registry:
    """Access to the registry and to the runs, at `Settings.registry_uri`; made on first use.

    Args:
        settings: name the registry.
        clock: seconds, for the intervals at which unreadable versions are read again.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._artifacts = settings.artifacts
        self._uri = settings.registry_uri
        self.client = _open(settings.registry_uri)
        self._known: dict[tuple[str, str, int], ModelVersion] = {}
        self._unreadable = RetrySchedule[tuple[str, str, int]](_FIRST_RETRY_S, _LONGEST_RETRY_S, clock)
        self._known_aliases: dict[str, tuple[object, dict[str, ModelVersion]]] = {}

    def experiment(self, workload: str) -> str:
        """Return the id of the workload's experiment, made when it is not there."""
        found = self.client.get_experiment_by_name(workload)
        if found is not None:
            return str(found.experiment_id)
        # a server has its own place for artifacts, where whoever reads them needs no disk of ours
        location = None if is_remote(self._uri) else (self._artifacts / workload).as_uri()
        return str(self.client.create_experiment(workload, artifact_location=location))

    def register(self, bundle_dir: Path, run_id: str, tags: Mapping[str, str] | None = None) -> ModelVersion:
        """Store the bundle with its run and make it the newest version of its family's model, so tagged.

        Raises:
            BundleError: it is no sound bundle.
        """
        bundle = read_bundle(bundle_dir)
        name = f"{bundle.card.workload}.{bundle.card.family}"
        self.client.log_artifacts(run_id, str(bundle_dir), ARTIFACT_FOLDER)
        try:
            self.client.create_registered_model(name, tags={"workload": bundle.card.workload})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{ARTIFACT_FOLDER}"
        all_tags = {**(tags or {}), HASH_TAG: bundle.content_hash, "data_hash": bundle.card.data_hash}
        # a version is there at once: waiting for it would only log that it is waited for
        version = self.client.create_model_version(name, source, run_id, all_tags, await_creation_for=None)
        return self._describe(version, ())

    def set_champion(self, version: ModelVersion | UnreadableVersion) -> None:
        """Give the alias `champion` to this version: serving moves its arm to it."""
        self._set_alias(version, CHAMPION)

    def set_challenger(self, version: ModelVersion) -> None:
        """Give the alias `challenger` to this version, which may take the champion's place."""
        self._set_alias(version, CHALLENGER)

    def log_numbers(self, version: ModelVersion, numbers: Mapping[str, float]) -> None:
        """Add metrics to the run that made this version."""
        for name, value in numbers.items():
            self.client.log_metric(version.run_id, name, value)

    def champions(self, workload: str) -> dict[str, ModelVersion]:
        """Return the version with the alias `champion` of each arm that has one which can be read."""
        champions = self.holders(workload)[CHAMPION]
        return {arm: one for arm, one in champions.items() if isinstance(one, ModelVersion)}

    def holders(self, workload: str) -> dict[str, dict[str, ModelVersion | UnreadableVersion]]:
        """Return the versions with the aliases `champion` and `challenger`, by alias and arm.

        Cheap enough to be polled. One that cannot be read is logged, and read again at growing intervals.
        """
        found: dict[str, dict[str, ModelVersion | UnreadableVersion]] = {CHAMPION: {}, CHALLENGER: {}}
        for model in self._models(workload):
            for alias, version in self._aliased_versions(model).items():
                found[alias][version.arm] = version
        return found

    def find(self, workload: str, arm: str, version: str) -> ModelVersion | UnreadableVersion | None:
        """Return a version; None if there is none."""
        try:
            there = self.client.get_model_version(_model_name(workload, arm), version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return self._describe_or_refuse(there, tuple(sorted(there.aliases)))

    def drop_challenger(self, version: ModelVersion | UnreadableVersion) -> None:
        """Take the alias `challenger` from this version, if it has it."""
        there = self.client.get_registered_model(_model_name(version.workload, version.arm))
        if str(there.aliases.get(CHALLENGER)) == version.version:
            self.client.delete_registered_model_alias(there.name, CHALLENGER)

    def versions(self, workload: str) -> list[ModelVersion]:
        """Return the versions of all arms, by arm and newest first; unreadable ones are logged instead."""
        found = []
        for model in sorted(self._models(workload), key=lambda m: str(m.name)):
            versions = self.client.search_model_versions(f"name = '{model.name}'", max_results=_PAGE)
            for version in sorted(versions, key=lambda v: -int(v.version)):
                described = self._describe_or_refuse(version, _aliases_of(model, version))
                if isinstance(described, ModelVersion):
                    found.append(described)
        return found

    def is_empty(self, workload: str) -> bool:
        """Return whether no arm of the workload has a champion, readable or not."""
        return not any(CHAMPION in model.aliases for model in self._models(workload))

    def _set_alias(self, version: ModelVersion | UnreadableVersion, alias: str) -> None:
        name = _model_name(version.workload, version.arm)
        self.client.set_registered_model_alias(name, alias, version.version)

    def _aliased_versions(
        self, model: mlflow_registry.RegisteredModel
    ) -> dict[str, ModelVersion | UnreadableVersion]:
        """Return versions by alias; they are read again after a change, or when one could not be read."""
        state = _state_of(model)
        known_state, known = self._known_aliases.get(model.name, (None, {}))
        if known_state == state:
            return {**known}
        aliases = sorted({CHAMPION, CHALLENGER} & model.aliases.keys())
        found = {alias: self._aliased_version(model, alias) for alias in aliases}
        readable = {alias: one for alias, one in found.items() if isinstance(one, ModelVersion)}
        if readable.keys() == found.keys():
            self._known_aliases[model.name] = state, readable
        return found

    def _aliased_version(
        self, model: mlflow_registry.RegisteredModel, alias: str
    ) -> ModelVersion | UnreadableVersion:
        try:
            version = self.client.get_model_version_by_alias(model.name, alias)
        except MlflowException as error:
            # an alias of a version that is gone, or one that was taken away since it was listed
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            number = str(model.aliases[alias])
            return self._refuse(
                (model.name, number, 0), f"the alias {alias} names a version that is not there"
            )
        return self._describe_or_refuse(version, _aliases_of(model, version))

    def _models(self, workload: str) -> list[mlflow_registry.RegisteredModel]:
        found = self.client.search_registered_models(f"name LIKE '{workload}.%'", max_results=_PAGE)
        # an underscore in the name of a workload is a wildcard to LIKE
        return [model for model in found if model.name.startswith(f"{workload}.")]

    def _describe_or_refuse(
        self, version: mlflow_registry.ModelVersion, aliases: tuple[str, ...]
    ) -> ModelVersion | UnreadableVersion:
        key = _key(version)
        if not self._unreadable.is_due(key):
            return _unreadable(key, self._unreadable.reason(key) or "")
        try:
            described = self._describe(version, aliases)
        except (BundleError, MlflowException, OSError) as error:
            return self._refuse(key, str(error))
        self._unreadable.succeed(key)
        return described

    def _refuse(self, key: tuple[str, str, int], reason: str) -> UnreadableVersion:
        if self._unreadable.fail(key, reason):
            log.warning("model version %s %s cannot be read: %s", key[0], key[1], reason)
        return _unreadable(key, reason)

    def _describe(self, version: mlflow_registry.ModelVersion, aliases: tuple[str, ...]) -> ModelVersion:
        key = _key(version)
        known = self._known.get(key)
        if known is None or known.aliases != aliases:
            workload, _, arm = str(version.name).partition(".")
            source = path_or_uri(self.client.get_model_version_download_uri(version.name, version.version))
            known = ModelVersion(
                workload=workload,
                arm=arm,
                version=str(version.version),
                bundle=version.tags.get(HASH_TAG) or bundle_hash_at(source, self._uri),
                source=source,
                run_id=version.run_id or "",
                created_at_ms=int(version.creation_timestamp),
                metrics=self._metrics_of(version.run_id),
                aliases=aliases,
            )
            self._known[key] = known
        return known

    def _metrics_of(self, run_id: str | None) -> dict[str, float]:
        return dict(self.client.get_run(run_id).data.metrics) if run_id else {}


def _open(uri: str) -> MlflowClient:
    """Open a client; a SQLite database is made ready for several processes, its migrations not logged."""
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # of each run that ends
    migrations = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic")]
    levels = [logger.level for logger in migrations]
    for logger in migrations:
        logger.setLevel(logging.WARNING)
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    finally:
        for logger, level in zip(migrations, levels, strict=True):
            logger.setLevel(level)
    return client


def _unreadable(key: tuple[str, str, int], reason: str) -> UnreadableVersion:
    workload, _, arm = key[0].partition(".")
    return UnreadableVersion(workload, arm, key[1], reason)


def _model_name(workload: str, arm: str) -> str:
    return f"{workload}.{arm}"


def _key(version: mlflow_registry.ModelVersion) -> tuple[str, str, int]:
    # a version number may come back after a deletion, its moment does not
    return str(version.name), str(version.version), int(version.creation_timestamp)


def _state_of(model: mlflow_registry.RegisteredModel) -> tuple[dict[str, str], list[tuple[str, int]]]:
    """Return what differs once an alias names another version; the newest shows if a number came back."""
    newest = [(str(version.version), version.creation_timestamp) for version in model.latest_versions]
    return dict(model.aliases), newest


def _aliases_of(model: Any, version: Any) -> tuple[str, ...]:
    return tuple(sorted(a for a, v in model.aliases.items() if str(v) == str(version.version)))
