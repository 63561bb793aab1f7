"""Paths and addresses of a process, read from the environment once, at the edge."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features.config import BUILT_IN
from features.locations import state_folder

if TYPE_CHECKING:
    from pydantic import SecretStr

REPOSITORY = Path(__file__).resolve().parents[2]
# A password may hold `@`, `/` and `?` as they are, so it ends at the last `@`: rather too much is hidden.
_IN_AUTHORITY = re.compile(r"(?<=://)[^:/]*:(?P<secret>.*)@", re.DOTALL)
_IN_QUERY = re.compile(r"[?&][^=&?]*(?:password|passwd|pwd|secret|token)=(?P<secret>[^&]*)", re.IGNORECASE)


def without_password(url: str) -> str:
    """Return the URL as it may be shown: `***` in place of what is, or may be, a password."""
    spans = [found.span("secret") for found in _IN_QUERY.finditer(url)]
    if found := _IN_AUTHORITY.search(url):
        spans.append(found.span("secret"))
    shown, at = "", 0
    for start, end in sorted(spans):
        if start > at:  # else it goes on where the one before ends, or lies in it
            shown += f"{url[at:start]}***"
        at = max(at, end)
    return shown + url[at:]


def has_raw_at(url: str) -> bool:
    """Return whether a password seems to hold `@` as it is, the rest of which drivers take for a host."""
    found = _IN_AUTHORITY.search(url)
    return found is not None and "@" in found["secret"]


@dataclass(frozen=True)
class Settings:
    """Paths and addresses.

    Attributes:
        var: everything that is made at run time; nothing else is written.
        workloads: directory of a user's own workload YAML files; the built-in ones are known beside them.
        registry_uri: MLflow tracking and registry URI.
        store_url: SQLAlchemy URL of the journal. Either URL may hold a password: see `without_password`.
        key_file: where the API's key is kept; None: under `var`.
        training_resource: Ray's name of what only nodes have that are to train; empty where any may.
    """

    var: Path
    workloads: Path
    registry_uri: str
    store_url: str
    key_file: Path | None = None
    training_resource: str = ""

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the settings from the environment.

        Defaults lie under `var` of the checkout, or of the current folder; RAYSONDE_VAR, RAYSONDE_WORKLOADS,
        RAYSONDE_REGISTRY_URI, RAYSONDE_STORE_URL, RAYSONDE_API_KEY_FILE and RAYSONDE_TRAINING_RESOURCE
        override. The two URLs may hold a password, and may lie in a file instead, which
        RAYSONDE_REGISTRY_URI_FILE or RAYSONDE_STORE_URL_FILE names.

        Raises:
            OSError: a file that is named cannot be read.
            BadEnvironment: a variable holds what it may not.
        """
        from training.runtime.environment import Environment  # here: see there

        variables = Environment.read()
        var = (variables.var or state_folder()).resolve()
        registry_uri = _url(variables.registry_uri, variables.registry_uri_file)
        store_url = _url(variables.store_url, variables.store_url_file)
        return cls(
            var=var,
            workloads=(variables.workloads or BUILT_IN).resolve(),
            registry_uri=registry_uri or f"sqlite:///{var}/mlflow/mlflow.db",
            store_url=store_url or f"sqlite:///{var}/store.db",
            key_file=variables.api_key_file.resolve() if variables.api_key_file else None,
            training_resource=variables.training_resource,
        )

    @property
    def artifacts(self) -> Path:
        """MLflow's artifact root when the registry is local."""
        return self.var / "mlflow" / "artifacts"

    @property
    def bundle_cache(self) -> Path:
        """Bundles by content hash, shared by the replicas of a node."""
        return self.var / "cache" / "bundles"

    @property
    def data(self) -> Path:
        """Generated training data."""
        return self.var / "data"

    @property
    def logs(self) -> Path:
        """JSON log files of the replicas, and what the supervised processes print."""
        return self.var / "logs"

    @property
    def targets(self) -> Path:
        """Return the folder in which Prometheus finds what is served."""
        return self.var / "targets"

    @property
    def ray_dashboards(self) -> Path:
        """Return the folder into which Ray writes its own dashboards for Grafana."""
        return self.var / "ray-dashboards"

    @property
    def api_key_file(self) -> Path:
        """The key that requests carry."""
        return self.key_file or self.var / "api-key"


def _url(url: SecretStr | None, file: Path | None) -> str | None:
    """Return the URL, else the content of the file, if one of them is named."""
    if url is not None:
        return url.get_secret_value()
    return file.read_text().strip() if file else None
