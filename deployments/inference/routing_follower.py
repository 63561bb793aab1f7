"""Keeps a router replica on the routing table in force, and knows which arms answer it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from deployments.domain.errors import Unavailable
from deployments.domain.routing import ArmVersion, EnsembleVersion, RoutingPolicy, RoutingTable, check_arms
from deployments.inference.arm_prover import ArmProver
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.ensemble_errors import EnsembleErrorTracker
from deployments.store import StoreUnavailable
from training.runtime.bundle import Card

log = logging.getLogger(__name__)

POLL_PERIOD_S = 0.5


class RoutingStore(Protocol):
    """A store of the routing table; `Store` is one."""

    def routing(self, workload: str) -> RoutingTable | None:
        """Return the table in force."""
        ...

    def put_policy(
        self, workload: str, policy: RoutingPolicy, *, actor: str, expected_revision: int | None = None
    ) -> int:
        """Put a policy in force; return the revision of the table."""
        ...


class TableUser(Protocol):
    """A part that works by the routing table."""

    def use(self, table: RoutingTable) -> None:
        """Work by this table from now on."""
        ...


class RoutingFollower:
    """The routing table of one router replica; belongs to one event loop.

    Args:
        workload: whose table.
        arms: names of the arm deployments.
        store: has the table.
        users: get each new table.
        levels: are read with the table.
        prover: asks versions that were not met before.
        ensemble_errors: follows the truths while the table has ensembles.
        sleep: pauses for so many seconds; tests give their own.

    Attributes:
        arms: names of the arm deployments.
        table: in use; None before the first one was read.
    """

    def __init__(
        self,
        workload: str,
        arms: Sequence[str],
        store: RoutingStore,
        users: Sequence[TableUser],
        levels: CoverageLevels,
        prover: ArmProver,
        ensemble_errors: EnsembleErrorTracker,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.arms = tuple(arms)
        self.table: RoutingTable | None = None
        self._workload = workload
        self._store = store
        self._users = tuple(users)
        self._levels = levels
        self._prover = prover
        self._ensemble_errors = ensemble_errors
        self._sleep = sleep
        self._cards: dict[ArmVersion, Card] = {}

    @property
    def example_answer(self) -> dict[str, Any] | None:
        """The JSON object that an arm answered about the contract's example; None before."""
        return self._prover.example_answer

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Arms of the policy that have not answered this replica yet; it is ready when there are none."""
        if self.table is None:
            return self.arms
        proven = self.cards()
        return tuple(arm for arm in self.arms if arm in self.table.policy.arms and arm not in proven)

    @property
    def proven_arms(self) -> tuple[str, ...]:
        """The arms of the policy in the order of the fallback; none while one of them is waited for."""
        if self.table is None or self.waiting_for:
            return ()
        policy, arms = self.table.policy, self.cards()
        order = dict.fromkeys((*policy.fallback, *policy.arms))
        return tuple(arm for arm in order if arm in arms)

    async def still_answers(self, arm: str) -> bool:
        """Return whether the version of an arm that is in use answers."""
        return self.table is not None and await self._prover.still_answers(arm, self.table.arms[arm])

    def cards(self) -> dict[str, tuple[ArmVersion, Card]]:
        """Return version and card of each arm that has answered."""
        arms = self.table.arms if self.table else {}
        return {
            arm: (version, self._cards[version]) for arm, version in arms.items() if version in self._cards
        }

    def ensembles(self) -> dict[str, EnsembleVersion]:
        """Return the version of each ensemble whose members have all answered."""
        proven, versions = self.cards(), self.table.versions if self.table else {}
        return {
            name: version
            for name, version in versions.items()
            if isinstance(version, EnsembleVersion) and proven.keys() >= set(version.settings.arms)
        }

    def use(self, table: RoutingTable) -> None:
        """Use this table from now on."""
        self.table = table
        for user in self._users:
            user.use(table)

    def adopt(self) -> None:
        """Use the routing table in force, before the first request comes; blocks while it is read.

        Without it a replica that starts beside others would refuse all requests until its first poll.
        """
        try:
            table = self._store.routing(self._workload)
            self._levels.refresh()
        except (StoreUnavailable, OSError) as error:
            log.warning("routing table not read: %s", error, extra={"workload": self._workload})
            return
        if table is not None:
            self.use(table)

    async def poll(self) -> None:
        """Read the routing table and the levels once and use them.

        Versions not met before are asked for a proof. Truths are read for ensembles alone.
        """
        table = await asyncio.to_thread(self._store.routing, self._workload)
        if table is None:
            return
        await asyncio.to_thread(self._levels.refresh)
        if self.table is None or table.revision > self.table.revision:
            self.use(table)
        for arm, version in table.arms.items():
            if version not in self._cards and (card := await self._prover.prove(arm, version)) is not None:
                self._cards[version] = card
        if table.policy.ensembles:
            await self._ensemble_errors.catch_up()

    async def follow(self) -> None:
        """Poll for ever. While the store is unavailable the table stays as it is."""
        while True:
            try:
                await self.poll()
            except (StoreUnavailable, OSError) as error:
                log.warning("routing table not read: %s", error, extra={"workload": self._workload})
            await self._sleep(POLL_PERIOD_S)

    async def put_policy(self, policy: RoutingPolicy, expected_revision: int | None = None) -> RoutingTable:
        """Put the policy in force, here at once and on the other replicas within a poll.

        Raises:
            FieldError: it names an arm that there is not.
            Conflict: another revision is in force than the one expected.
        """
        check_arms(policy, self.arms)
        await asyncio.to_thread(
            self._store.put_policy,
            self._workload,
            policy,
            actor="api",
            expected_revision=expected_revision,
        )
        await self.poll()
        if self.table is None:
            raise Unavailable("the routing table cannot be read")
        return self.table
