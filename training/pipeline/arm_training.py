"""Training one arm: search, bundle, a version in the registry. The caller says which alias it gets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from features.locations import checkout
from training.config import TrainingConfig
from training.families.base import load_family
from training.pipeline.assembly import Origin, assemble
from training.pipeline.preparation import Prepared
from training.pipeline.progress import Stages
from training.registry.models import ModelVersion, Registry
from training.registry.tracking import SearchRuns, git_commit
from training.runtime.bundle import BundleParts, Card, read_bundle, write_bundle
from training.runtime.inference import load_model
from training.search.trials import Best, SearchPlan, TrialRecord
from training.search.tune import search

# what is recorded about a model before it is registered, as tags of its version
EvaluateChallenger = Callable[[BundleParts], Mapping[str, str]]


@dataclass(frozen=True)
class TrainedArm:
    """A new version and the card of its bundle."""

    version: ModelVersion
    card: Card


def no_evaluation(parts: BundleParts) -> Mapping[str, str]:
    """Says nothing."""
    return {}


@dataclass(frozen=True)
class ArmTrainer:
    """Trains the arms of one workload, from the same data.

    Attributes:
        registry: of runs and versions.
        config: section `training` of the workload.
        prepared: the data.
        searches: folder of the states of searches.
        stages: called with how far it is.
        seed: of the search and the models.
        trials: for every family, instead of those of `config`.
        resume: whether a search that was killed goes on.
        tags: of the runs, beside those that every training has.
        at_once: how many trials run beside each other; None: as many as there are cores for.
    """

    registry: Registry
    config: TrainingConfig
    prepared: Prepared
    searches: Path
    stages: Stages
    seed: int
    trials: int | None = None
    resume: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    at_once: int | None = None

    def train(self, family: str, evaluate: EvaluateChallenger = no_evaluation) -> TrainedArm:
        """Search, bundle, register: a version without an alias.

        Raises:
            SearchError: all trials failed.
        """
        arm = load_family(family).name
        workload = self.prepared.contract.workload
        commit = git_commit(checkout())
        tags = {
            "workload": workload,
            "family": arm,
            "data_hash": self.prepared.data_hash,
            "git_commit": commit,
            **self.tags,
        }
        experiment = self.registry.experiment(workload)
        plan = self._plan(family)
        runs = SearchRuns(self.registry.client, experiment, plan, tags, self.resume)
        best = self._search(plan, arm, runs)
        run_id = runs.run_of(best.trial_id)
        assert run_id is not None, "a trial that ended has been logged"
        origin = Origin(arm, datetime.now(UTC), commit, self.seed)
        parts = assemble(self.prepared, best, origin, self.config.coverage)
        verdict = evaluate(parts)
        with tempfile.TemporaryDirectory(prefix="raysonde-") as folder:
            directory = Path(folder) / "bundle"
            content_hash = write_bundle(parts, directory)
            load_model(read_bundle(directory, content_hash, self.prepared.contract))
            runs.finish(run_id, parts.card.metrics)
            version = self.registry.register(directory, run_id, verdict)
        return TrainedArm(version, parts.card)

    def _plan(self, family: str) -> SearchPlan:
        trials = self.config.trials_of(family) if self.trials is None else self.trials
        return SearchPlan(
            family=family,
            trials=trials,
            seed=self.seed,
            split_hash=self.prepared.split_hash,
            workers=self.config.workers,
            fixed=self.config.search.get(family, {}),
        )

    def _search(self, plan: SearchPlan, arm: str, runs: SearchRuns) -> Best:
        progress = self.stages(f"Search {arm}")
        progress(0, plan.trials)

        def listen(record: TrialRecord, ended: int) -> None:
            runs.log_trial(record)
            progress(ended, plan.trials)

        return search(
            plan,
            self.prepared.train,
            self.prepared.valid,
            self.searches / arm,
            listen,
            self.resume,
            self.at_once,
        )
