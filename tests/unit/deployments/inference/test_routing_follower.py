"""Following the routing table: what is adopted, which arms are ready, and a store that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.domain.routing import RoutingPolicy, RoutingTable
from deployments.inference.arm_prover import ArmProver
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.ensemble_errors import EnsembleErrorTracker
from deployments.inference.ensemble_weights import RollingErrors
from deployments.inference.routing_follower import POLL_PERIOD_S, RoutingFollower
from deployments.requests.parser import InstanceParser
from deployments.store import Store, StoreUnavailable
from features.errors import FieldError
from features.workload import load_workload
from tests.support.serving import ARMS, POLICY, LocalSystem
from training.runtime.tasks.factory import make_task

BLEND = {"blend": {"arms": ["mlp", "linear"]}}


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path) as system:
        yield system


@pytest.fixture
def follower(system: LocalSystem) -> RoutingFollower:
    return system.stack.follower


async def test_an_arm_is_ready_once_it_has_answered(system: LocalSystem, follower: RoutingFollower) -> None:
    system.downstream.down = {"mlp"}
    assert (list(follower.waiting_for), follower.cards(), follower.example_answer) == ([*ARMS], {}, None)
    follower.adopt()
    assert list(follower.waiting_for) == [*ARMS]
    await follower.poll()
    assert list(follower.waiting_for) == ["mlp"]
    assert set(follower.cards()) == {"linear", "random_forest"}
    system.downstream.down.clear()
    await follower.poll()
    assert list(follower.waiting_for) == []
    version, card = follower.cards()["mlp"]
    assert (version, card.family) == (system.versions["mlp"], "mlp")
    example = follower.example_answer
    assert example is not None
    assert (example["arm"], example["fallback"]) == ("mlp", False)


async def test_a_version_is_asked_once_and_nothing_of_it_is_journalled(
    system: LocalSystem, follower: RoutingFollower
) -> None:
    calls = 0

    async def count() -> None:
        nonlocal calls
        calls += 1

    system.downstream.before_call = count
    for _ in range(3):
        await follower.poll()
    assert calls == len(ARMS)
    system.store.put_arm("apogee", "linear", system.versions["mlp"])
    await follower.poll()
    assert calls == len(ARMS), "the version has answered as another arm's"
    await system.stack.close()
    assert system.store.counts("apogee").predictions == 0


async def test_an_arm_that_the_policy_does_not_name_is_not_waited_for(
    system: LocalSystem, follower: RoutingFollower
) -> None:
    system.downstream.down = {"mlp", "random_forest"}
    await follower.put_policy(RoutingPolicy(weights={"linear": 1.0}))
    assert follower.waiting_for == ()


async def test_an_ensemble_answers_when_all_its_members_have(
    system: LocalSystem, follower: RoutingFollower
) -> None:
    system.downstream.down = {"linear"}
    policy = RoutingPolicy.model_validate(POLICY.model_dump() | {"ensembles": BLEND})
    table = await follower.put_policy(policy)
    assert follower.ensembles() == {}
    system.downstream.down.clear()
    await follower.poll()
    assert follower.ensembles() == {"blend": table.versions["blend"]}


async def test_a_policy_is_in_force_here_at_once_and_may_name_known_arms_only(
    system: LocalSystem, follower: RoutingFollower
) -> None:
    table = await follower.put_policy(RoutingPolicy(weights={"linear": 1.0}))
    assert follower.table == table == system.stack.dispatcher.table == system.store.routing("apogee")
    with pytest.raises(FieldError, match="nobody"):
        await follower.put_policy(RoutingPolicy(weights={"nobody": 1.0}))
    assert system.store.routing("apogee") == table


class UnsteadyStore:
    """Has the table of a store, every other time."""

    def __init__(self, store: Store) -> None:
        self.put_policy = store.put_policy
        self.reads = 0
        self._store = store

    def routing(self, workload: str) -> RoutingTable | None:
        self.reads += 1
        if self.reads % 2:
            raise StoreUnavailable("locked")
        return self._store.routing(workload)


async def test_while_the_store_is_away_the_table_stays(
    system: LocalSystem, caplog: pytest.LogCaptureFixture
) -> None:
    contract, errors, store = system.contract, RollingErrors(), UnsteadyStore(system.store)
    task = make_task(contract, load_workload(contract))
    revisions: list[int | None] = []

    async def sleep(seconds: float) -> None:
        assert seconds == POLL_PERIOD_S
        revisions.append(unsteady.table.revision if unsteady.table else None)
        system.store.put_policy("apogee", RoutingPolicy(weights={"linear": 1.0 + len(revisions)}))
        if len(revisions) == 4:
            raise asyncio.CancelledError

    unsteady = RoutingFollower(
        "apogee",
        ARMS,
        store,
        (system.stack.dispatcher,),
        CoverageLevels(),
        ArmProver(contract, InstanceParser(contract), system.downstream, system.cache),
        EnsembleErrorTracker(system.store, "apogee", contract.target, task, errors),
        sleep,
    )
    unsteady.adopt()
    assert unsteady.table is None
    store.reads = 0
    began = system.store.routing("apogee")
    assert began is not None
    with pytest.raises(asyncio.CancelledError):
        await unsteady.follow()
    assert revisions == [None, began.revision + 1, began.revision + 1, began.revision + 3]
    assert unsteady.table == system.stack.dispatcher.table
    assert caplog.messages == ["routing table not read: locked"] * 3
