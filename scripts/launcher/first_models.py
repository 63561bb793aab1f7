"""The first training of workloads that lack a model of some arm, and a cheap, sure test for that."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path

from deployments.domain.routing import RoutingPolicy
from deployments.store import Store
from features.config import load_sections
from scripts.host.interruption import Interruption
from scripts.launcher.start_plan import Plan
from scripts.launcher.supervisor import Supervisor
from training.registry.errors import RegistryUnreadable
from training.registry.listing import list_champions
from training.runtime.settings import Settings


class NotTrained(RuntimeError):
    """The training ended by itself, before its end."""


def lacks_models(settings: Settings, workload: str) -> bool:
    """Return whether some arm of the workload has no champion.

    Raises:
        RegistryUnreadable: the registry cannot be asked.
        StoreUnavailable, StoreUnfit: nor can the store.
    """
    local = settings.registry_uri.removeprefix("sqlite:///")
    if local != settings.registry_uri and not Path(local).exists():
        return True
    routing = load_sections(settings.workloads, workload)["routing"]
    arms = RoutingPolicy.model_validate(routing).arms
    return not _was_served(settings, workload, arms) and not _has_champions(settings, workload, arms)


def train_first(plan: Plan, workloads: Sequence[str], interruption: Interruption) -> None:
    """Train by the command that a user would give, with its progress on our terminal, or until asked to stop.

    Raises:
        NotTrained: what is missing; the command has said why.
    """
    command = [sys.executable, "-m", "scripts", "train", *workloads]
    trainer = Supervisor(command, plan.environment(), None, plan.run_id, ())
    try:
        trainer.start()
        code = trainer.wait(interruption)
    finally:
        trainer.stop(interruption)
    if code and not interruption.requested:
        raise NotTrained("training failed: the lines above say why; the same command goes on from there")


def _was_served(settings: Settings, workload: str, arms: AbstractSet[str]) -> bool:
    """Return whether the routing table has a version of each arm: serving starts from it alone."""
    with closing(Store(settings.store_url)) as store:
        store.create_tables()
        table = store.routing(workload)
    return table is not None and arms <= table.arms.keys()


def _has_champions(settings: Settings, workload: str, arms: AbstractSet[str]) -> bool:
    try:
        return arms <= list_champions(settings, workload).keys()
    except RegistryUnreadable as error:
        raise RegistryUnreadable(f"{error}, or move the file away, and new models are trained") from error
