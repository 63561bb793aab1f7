"""Where things are: one object, read from the environment once, at the edge."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from features.config import BUILT_IN
from features.locations import state_folder

REPOSITORY = Path(__file__).resolve().parents[2]
_PASSWORD = re.compile(r"(?P<user>(?<=://)[^:/@]*:)[^@]*(?=@)|(?P<name>[?&]password=)[^&]*")


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return _PASSWORD.sub(lambda found: f"{found['user'] or found['name']}***", url)


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
        """Defaults under `var` of the checkout, or of the current folder; RAYSONDE_VAR, RAYSONDE_WORKLOADS,
        RAYSONDE_REGISTRY_URI, RAYSONDE_STORE_URL, RAYSONDE_API_KEY_FILE and RAYSONDE_TRAINING_RESOURCE
        override. The two URLs may hold a password, and may lie in a file instead, which
        RAYSONDE_REGISTRY_URI_FILE or RAYSONDE_STORE_URL_FILE names.

        Raises:
            OSError: a file that is named cannot be read.
        """
        var = Path(os.environ.get("RAYSONDE_VAR") or state_folder()).resolve()
        return cls(
            var=var,
            workloads=Path(os.environ.get("RAYSONDE_WORKLOADS") or BUILT_IN).resolve(),
            registry_uri=_url("RAYSONDE_REGISTRY_URI", f"sqlite:///{var}/mlflow/mlflow.db"),
            store_url=_url("RAYSONDE_STORE_URL", f"sqlite:///{var}/store.db"),
            key_file=Path(key_file).resolve()
            if (key_file := os.environ.get("RAYSONDE_API_KEY_FILE"))
            else None,
            training_resource=os.environ.get("RAYSONDE_TRAINING_RESOURCE", ""),
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
        """Where Prometheus finds what is served."""
        return self.var / "targets"

    @property
    def ray_dashboards(self) -> Path:
        """Where Ray writes its own dashboards for Grafana."""
        return self.var / "ray-dashboards"

    @property
    def api_key_file(self) -> Path:
        """The key that requests carry."""
        return self.key_file or self.var / "api-key"


def _url(variable: str, default: str) -> str:
    """The variable, else the content of the file that VARIABLE_FILE names, else the default."""
    if url := os.environ.get(variable):
        return url
    file = os.environ.get(f"{variable}_FILE")
    return Path(file).read_text().strip() if file else default
