"""The lifecycle controller's view of one workload: immutable values, read before anything is decided.

A round observes, decides by pure functions (`swaps`, `promotion_decisions`, `retraining_decisions`) and acts.
Versions and retrainings have a round each, because loading a version may take minutes, and the job service of
Ray may be away: neither holds up the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from deployments.domain.promotion import Promotion
from deployments.domain.retraining import Retraining
from deployments.domain.retraining_transitions import JobState, StartConditions
from deployments.domain.routing import ArmVersion, RoutingTable
from deployments.domain.served import Served
from training.retraining.gate import Verdict
from training.runtime.journal_query import JournalQuery


@dataclass(frozen=True)
class Unreadable:
    """A version that the registry names, and whose bundle cannot be read.

    Attributes:
        model_version: its number; one that an alias names may be gone.
        reason: why it cannot be read.
    """

    model_version: str
    reason: str


@dataclass(frozen=True)
class Aliases:
    """The registry's versions with an alias, by arm.

    Attributes:
        champions: those that can be read.
        challengers: those that can be read.
        unreadable: champions that cannot be read.
    """

    champions: Mapping[str, ArmVersion]
    challengers: Mapping[str, ArmVersion]
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Two versions of an arm on the requests that both have answered.

    Attributes:
        truths: requests of the present phase with their truth, counted up to what the next interim look
            takes; 0 where no look is due any more.
        verdict: of the interim look; None where none is due yet.
    """

    truths: int
    verdict: Verdict | None = None


@dataclass(frozen=True)
class OpenPromotions:
    """The promotions under way, and what decides about them.

    Attributes:
        promotions: oldest first.
        evaluated: arm and model version of the challengers whose promotion has ended.
        requested: by promotion id, the version that a person asked for; None where the registry has none.
            Those are left out that it could not be asked for.
        comparisons: by promotion id, of those whose versions were compared in this round.
    """

    promotions: tuple[Promotion, ...] = ()
    evaluated: Collection[tuple[str, str]] = ()
    requested: Mapping[str, ArmVersion | Unreadable | None] = field(default_factory=dict)
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)

    @property
    def aborting(self) -> frozenset[str]:
        """Return the arms that are to go on with what they serve, whatever the registry still names."""
        return frozenset(one.arm for one in self.promotions if one.state == "aborting")

    @property
    def shadows(self) -> dict[str, ArmVersion]:
        """Return, by arm, the version that shall get copies of its requests."""
        return {one.arm: one.shadow for one in self.promotions if one.shadow is not None}


@dataclass(frozen=True)
class VersionObservation:
    """An observation of what a workload serves and what its registry names.

    Attributes:
        now: UTC.
        served: the application as it describes itself.
        aliases: of the registry.
        table: the routing table; None before the workload has a policy.
        refused: why replicas refuse bundles, by content hash; those that are due to be tried again are not
            among them.
        promotions: None where they cannot be read; nothing is decided about them then, and shadows go on.
    """

    now: datetime
    served: Served
    aliases: Aliases
    table: RoutingTable | None
    refused: Mapping[str, str]
    promotions: OpenPromotions | None

    @property
    def serving(self) -> Mapping[str, ArmVersion]:
        """Return, by arm, the version that the routing table names."""
        return {} if self.table is None else self.table.arms


@dataclass(frozen=True)
class RetrainingObservation:
    """The retrainings of a workload, and what the state of the newest one calls for.

    Attributes:
        now: UTC.
        past: newest first: those that count for the budget of a day, and one more.
        first_truth: when the oldest prediction with a truth was made; read where there is no retraining yet.
        drifting_arms: arms whose drift goes on; read once after a retraining has ended.
        query: the pairs that a waiting retraining would learn from.
        conditions: whether it may start.
        job: state and message of the job of a running one.
    """

    now: datetime
    past: tuple[Retraining, ...] = ()
    first_truth: datetime | None = None
    drifting_arms: frozenset[str] = frozenset()
    query: JournalQuery | None = None
    conditions: StartConditions | None = None
    job: tuple[JobState, str] | None = None
