"""Retraining of a workload, on its own data and on the truths that the running system received.

Each arm gets a version of the registry with a verdict. One that passes the gate gets the alias `challenger`;
others are archived: they stay, with the reasons as tags, and no alias. So what a job that was killed leaves
behind is never taken for a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from features.config import load_sections
from features.contract import Contract
from features.workload import load_workload
from training.config import TrainingConfig
from training.families.base import load_family
from training.pipeline.arm_training import ArmTrainer
from training.pipeline.parallel import ray_map
from training.pipeline.preparation import Prepared, scaled, source_splits
from training.pipeline.progress import Stages
from training.pipeline.run import training_lock
from training.registry.models import ModelVersion, Registry
from training.retraining.comparison import compare
from training.retraining.gate import Verdict
from training.retraining.journal_dataset import Journalled, NothingJournalled, read_journal
from training.retraining.journal_mix import mix, split_journal
from training.runtime.bundle import Bundle, BundleParts
from training.runtime.journal_query import Journal, JournalQuery
from training.runtime.retraining_config import RetrainingConfig
from training.runtime.settings import Settings
from training.search.fixed_hyperparameters import check_fixed

_TAG_LENGTH = 5000


@dataclass(frozen=True)
class RetrainingTask:
    """The task of a job.

    Attributes:
        id: of the retraining.
        workload: its name.
        reason: why, for the tags of runs and versions.
        query: which pairs of the journal.
        done: arms that an earlier attempt has brought to a verdict.
    """

    id: str
    workload: str
    reason: str
    query: JournalQuery
    done: Collection[str] = ()


class RetrainingListener(Protocol):
    """A listener to the progress of a job; what it gets is recorded before the job goes on."""

    def has_data(self, data_hash: str) -> None:
        """Record that the pairs are read."""

    def has_verdict(self, version: ModelVersion, verdict: Verdict) -> None:
        """Record that an arm is done."""


# the bundle of a version, wherever it lies
Fetch = Callable[[ModelVersion], Bundle]


def retrain_workload(
    settings: Settings,
    task: RetrainingTask,
    journal: Journal,
    fetch: Fetch,
    listener: RetrainingListener,
    stages: Stages,
) -> None:
    """Train every family and put each best model before the gate. Ray must run; one trial runs at a time.

    Raises:
        NothingJournalled: there is too little to learn from, or to evaluate on.
        TrainingBusy: the workload is being trained by somebody else now.
        ValueError: the configuration does not hold.
        SearchError: all trials of a family failed.
        BundleError: a champion cannot be read.
    """
    contract, config, retraining = _configuration(settings, task.workload)
    journalled = read_journal(contract, load_workload(contract), journal, task.query)
    listener.has_data(journalled.dataset.data_hash)
    with training_lock(settings, task.workload):
        prepared = _prepared(settings, contract, config, retraining, journalled, stages)
        registry = Registry(settings)
        trainer = ArmTrainer(
            registry=registry,
            config=config,
            prepared=prepared,
            searches=settings.var / "tune" / task.workload / "retraining",
            stages=stages,
            seed=config.seed,
            trials=retraining.trials,
            tags=_tags(task, journalled),
            at_once=1,
        )
        champions = registry.champions(task.workload)
        for family in config.families:
            arm = load_family(family).name
            if arm in task.done:
                continue
            champion = champions.get(arm)
            gate = _Gate(retraining, prepared, None if champion is None else fetch(champion), task.id)
            version = trainer.train(family, gate.evaluate).version
            _register(registry, version, gate.verdict)
            listener.has_verdict(version, gate.verdict)


def _configuration(settings: Settings, workload: str) -> tuple[Contract, TrainingConfig, RetrainingConfig]:
    sections = load_sections(settings.workloads, workload)
    config = TrainingConfig.model_validate(sections.get("training") or {})
    check_fixed(config.search)
    retraining = RetrainingConfig.model_validate(sections.get("retraining") or {})
    return Contract.model_validate(sections["contract"]), config, retraining


def _register(registry: Registry, version: ModelVersion, verdict: Verdict) -> None:
    """Keep the numbers of the gate with the version; one that passed is the challenger."""
    registry.log_numbers(version, {f"gate_{name}": number for name, number in verdict.numbers.items()})
    if verdict.passed:
        registry.set_challenger(version)


@dataclass
class _Gate:
    """A gate for the model of one arm, which keeps its verdicts."""

    config: RetrainingConfig
    prepared: Prepared
    champion: Bundle | None
    retraining_id: str
    verdicts: list[Verdict] = field(default_factory=list)

    def evaluate(self, parts: BundleParts) -> Mapping[str, str]:
        """Evaluate a challenger; see `training.pipeline.arm_training.EvaluateChallenger`."""
        verdict = compare(self.config.gate, self.prepared.splits.test, parts, self.champion)
        self.verdicts.append(verdict)
        against = "none" if self.champion is None else self.champion.content_hash
        return {
            "retraining": self.retraining_id,
            "verdict": "passed" if verdict.passed else "archived",
            "reasons": " ".join(verdict.reasons)[:_TAG_LENGTH],
            "champion": against,
            "evidence": json.dumps(verdict.numbers)[:_TAG_LENGTH],
        }

    @property
    def verdict(self) -> Verdict:
        """The last verdict."""
        return self.verdicts[-1]


def _prepared(
    settings: Settings,
    contract: Contract,
    config: TrainingConfig,
    retraining: RetrainingConfig,
    journalled: Journalled,
    stages: Stages,
) -> Prepared:
    pairs = split_journal(journalled.dataset, retraining.held_out, whole_entities=config.split == "group")
    for name, part in vars(pairs).items():
        if not len(part.target):
            entities = len(np.unique(journalled.dataset.group))
            raise NothingJournalled(
                f"no pair to {name}: there are {entities} entities, too few for four parts"
            )
    source = source_splits(contract, config, settings.data, config.seed, ray_map, stages)
    return scaled(contract, config, mix(source, pairs, retraining.journal_share), ray_map)


def _tags(task: RetrainingTask, journalled: Journalled) -> dict[str, str]:
    return {
        "reason": task.reason,
        "retraining": task.id,
        "journal_hash": journalled.dataset.data_hash,
        "journal_query": task.query.model_dump_json(),
        "journal_from": journalled.first.isoformat(),
        "journal_to": journalled.last.isoformat(),
        "journal_skipped": str(journalled.skipped),
    }
