"""The versions at an MLflow server, by its REST API (version 2.0)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from training.registry.errors import RegistryUnreadable
from training.registry.model_version import HASH_TAG
from training.registry.version_row import VersionRow
from training.runtime.artifact_server import server_client
from training.runtime.environment import Environment

if TYPE_CHECKING:
    import httpx

_PAGE = 1000
_NOT_FOUND = 404


def read_versions(
    uri: str, workload: str, environment: Mapping[str, str], alias: str | None = None
) -> list[VersionRow] | None:
    """Return the versions of a workload; None where the server wants more than is known here.

    Args:
        uri: of the server.
        workload: whose versions.
        environment: with the token, or user and password, if any.
        alias: only those that have it.

    Raises:
        RegistryUnreadable: no MLflow server answers.
    """
    try:
        with server_client(uri, Environment.of(environment)) as client:
            return list(_Api(client, uri).versions(workload, alias))
    except (PermissionError, FileNotFoundError):
        # MLflow's client knows more ways to sign in, and more versions of the API
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryUnreadable.because_of(error, uri) from error


class _Api:
    def __init__(self, client: httpx.Client, uri: str) -> None:
        self._client = client
        self._root = f"{uri.rstrip('/')}/api/2.0/mlflow"

    def versions(self, workload: str, alias: str | None) -> Iterator[VersionRow]:
        # an underscore in the name of a workload is a wildcard to LIKE
        wanted, prefix = f"name LIKE '{workload}.%'", f"{workload}."
        aliases: dict[tuple[str, int], list[str]] = defaultdict(list)
        for model in self._pages("registered-models", "registered_models", wanted):
            for one in model.get("aliases", ()):
                aliases[model["name"], int(one["version"])].append(one["alias"])
        for version in self._pages("model-versions", "model_versions", wanted):
            held = aliases[version["name"], int(version["version"])]
            # a row costs two more questions
            if version["name"].startswith(prefix) and (alias is None or alias in held):
                yield self._row(version, tuple(sorted(held)))

    def _row(self, version: Mapping[str, Any], aliases: tuple[str, ...]) -> VersionRow:
        name, run_id = version["name"], version.get("run_id") or ""
        tags = {tag["key"]: tag.get("value") for tag in version.get("tags", ())}
        params = {"name": name, "version": version["version"]}
        located = self._get("model-versions/get-download-uri", params).raise_for_status().json()
        return VersionRow(
            name=name,
            version=int(version["version"]),
            source=located["artifact_uri"],
            run_id=run_id,
            created_at_ms=int(version["creation_timestamp"]),
            bundle=tags.get(HASH_TAG),
            metrics=self._metrics(run_id) if run_id else {},
            aliases=aliases,
        )

    def _metrics(self, run_id: str) -> dict[str, float] | None:
        answer = self._get("runs/get", {"run_id": run_id})
        if answer.status_code == _NOT_FOUND:
            return None
        run = answer.raise_for_status().json()["run"]
        return {one["key"]: float(one["value"]) for one in run.get("data", {}).get("metrics", ())}

    def _pages(self, kind: str, key: str, wanted: str) -> Iterator[Mapping[str, Any]]:
        token = ""
        while True:
            params = {"filter": wanted, "max_results": str(_PAGE)} | ({"page_token": token} if token else {})
            page = self._get(f"{kind}/search", params).raise_for_status().json()
            yield from page.get(key, ())
            token = page.get("next_page_token", "")
            if not token:
                return

    def _get(self, call: str, params: Mapping[str, str]) -> httpx.Response:
        return self._client.get(f"{self._root}/{call}", params=dict(params))
