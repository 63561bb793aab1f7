"""Where things are: one object, read from the environment once, at the edge."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from features.config import BUILT_IN

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Paths and addresses.

    Attributes:
        var: everything that is made at run time; nothing else is written.
        workloads: directory of a user's own workload YAML files; the built-in ones are known beside them.
        registry_uri: MLflow tracking and registry URI.
        store_url: SQLAlchemy URL of the journal.
        training_resource: Ray's name of what only nodes have that are to train; empty where any may.
    """

    var: Path
    workloads: Path
    registry_uri: str
    store_url: str
    training_resource: str = ""

    @classmethod
    def from_environment(cls) -> Settings:
        """Defaults under the repository; RAYSONDE_VAR, RAYSONDE_WORKLOADS, RAYSONDE_REGISTRY_URI,
        RAYSONDE_STORE_URL and RAYSONDE_TRAINING_RESOURCE override.
        """
        var = Path(os.environ.get("RAYSONDE_VAR", REPOSITORY / "var")).resolve()
        return cls(
            var=var,
            workloads=Path(os.environ.get("RAYSONDE_WORKLOADS") or BUILT_IN).resolve(),
            registry_uri=os.environ.get("RAYSONDE_REGISTRY_URI", f"sqlite:///{var}/mlflow/mlflow.db"),
            store_url=os.environ.get("RAYSONDE_STORE_URL", f"sqlite:///{var}/store.db"),
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
    def api_key_file(self) -> Path:
        """The key that requests carry."""
        return self.var / "api-key"
