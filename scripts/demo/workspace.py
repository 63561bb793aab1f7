"""The folder of the demonstration: a system of its own, and its first models, with which each run begins."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from scripts.demo import synthetic_weather as synthetic_weather
from scripts.demo.plan import HealPlan
from scripts.launcher.user_workloads import settings_with
from training.runtime.settings import Settings

_ADDRESSES = ("RAYSONDE_REGISTRY_URI", "RAYSONDE_STORE_URL")


@dataclass(frozen=True)
class Workspace:
    """The folder of the demonstration; nothing is written anywhere else."""

    folder: Path

    @property
    def var(self) -> Path:
        """The state of its system."""
        return self.folder / "var"

    @property
    def _registry(self) -> Path:
        return self.var / "mlflow"

    @property
    def _kept(self) -> Path:
        """The registry as it was when it had the first models only."""
        return self.folder / "first-models"

    def prepare(self, plan: HealPlan) -> Settings:
        """Write the workload, and let this process and its children keep their state here."""
        synthetic_weather.write(self.folder / "workloads", plan)
        self.var.mkdir(parents=True, exist_ok=True)
        os.environ["RAYSONDE_VAR"] = str(self.var.resolve())
        for name in _ADDRESSES:
            os.environ.pop(name, None)
        return settings_with(self.folder / "workloads")

    def forget_first_models(self) -> None:
        """Delete the first models, so that others are trained."""
        for folder in (self._kept, self._registry):
            shutil.rmtree(folder, ignore_errors=True)

    def reset(self) -> None:
        """Delete the previous run: its journal, and all models but the first ones."""
        if self._kept.is_dir():
            shutil.rmtree(self._registry, ignore_errors=True)
            shutil.copytree(self._kept, self._registry)
        shutil.rmtree(self.var / "tune", ignore_errors=True)
        for file in self.var.glob("store.db*"):
            file.unlink()

    def keep_first_models(self) -> None:
        """Keep a copy of the registry when it has the first models; an earlier copy stays."""
        if self._kept.is_dir():
            return
        part = self._kept.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(self._registry, part)
        part.rename(self._kept)
