"""Where things are: one object, read from the environment once, at the edge."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from features.config import BUILT_IN

REPOSITORY = Path(__file__).resolve().parent.parent
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
    """

    var: Path
    workloads: Path
    registry_uri: str
    store_url: str

    @classmethod
    def from_environment(cls) -> Settings:
        """Defaults under the repository; RAYSONDE_VAR, RAYSONDE_WORKLOADS, RAYSONDE_REGISTRY_URI and
        RAYSONDE_STORE_URL override.
        """
        var = Path(os.environ.get("RAYSONDE_VAR", REPOSITORY / "var")).resolve()
        return cls(
            var=var,
            workloads=Path(os.environ.get("RAYSONDE_WORKLOADS") or BUILT_IN).resolve(),
            registry_uri=os.environ.get("RAYSONDE_REGISTRY_URI", f"sqlite:///{var}/mlflow/mlflow.db"),
            store_url=os.environ.get("RAYSONDE_STORE_URL", f"sqlite:///{var}/store.db"),
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
        return self.var / "api-key"
