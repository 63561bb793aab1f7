"""The choice of the arm that answers a request, and of those tried after it. Pure: alike on every replica."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.domain.breaker_settings import BreakerSettings
from deployments.domain.cache_settings import CacheSettings
from deployments.domain.ensembles import MOST_ARMS, EnsembleSettings
from deployments.domain.errors import NoArmAvailable
from deployments.domain.ids import MAX_NAME_LENGTH, Name
from deployments.domain.rendezvous import pick
from features.errors import FieldError

ARM_HEADER = "Raysonde-Arm"

Weight = Annotated[float, Field(ge=0, le=1_000_000)]
# No arm answers faster than the least, so that nothing would ever be answered; clients do not wait longer
# than the most.
Deadline = Annotated[float, Field(ge=0.01, le=600)]
# A single arm may have less than it needs, to see that others answer in its place.
ArmDeadline = Annotated[float, Field(ge=0.0001, le=600)]


class RoutingPolicy(BaseModel):
    """The policy that spreads requests over the arms of a workload."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weights: dict[Name, Weight] = Field(
        max_length=MOST_ARMS, description="share of each arm, relative to their sum; 0 takes it out"
    )
    sticky: bool = Field(default=True, description="whether all requests of an entity go to the same arm")
    fallback: tuple[Name, ...] = Field(
        default=(),
        max_length=MOST_ARMS,
        description="arms tried in this order when the chosen one fails or runs out of time",
    )
    deadline_s: Deadline = Field(default=2.0, description="seconds that an arm has before the next is tried")
    deadlines_s: dict[Name, ArmDeadline] = Field(
        default_factory=dict,
        max_length=MOST_ARMS,
        description="seconds for single arms, in place of deadline_s",
    )
    breaker: BreakerSettings = Field(
        default_factory=BreakerSettings, description="when a failing arm is passed over"
    )
    ensembles: dict[Name, EnsembleSettings] = Field(
        default_factory=dict, max_length=MOST_ARMS, description="arms that blend what others predict, by name"
    )
    cache: CacheSettings | None = Field(
        default=None, description="whether answers to single instances are kept; not, unless it is there"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not any(self.weights.values()):
            raise ValueError(f"weights: got {self.weights}, expected at least one above 0")
        if len(set(self.fallback)) < len(self.fallback):
            raise ValueError(f"fallback: got {list(self.fallback)}, expected each arm once")
        for arm in self.deadlines_s:
            if arm not in self.arms | self.ensembles.keys():
                known = sorted(self.arms | self.ensembles.keys())
                raise ValueError(f"deadlines_s: got the arm {arm!r}, expected one of {known}")
        for name, ensemble in self.ensembles.items():
            nested = self.ensembles.keys() & set(ensemble.arms)
            if nested:
                raise ValueError(
                    f"ensembles.{name}.arms: got {sorted(nested)}, expected arms that are no ensembles"
                )
        return self

    @property
    def arms(self) -> frozenset[str]:
        """Every arm that the policy needs a model of: those it names, and the members of ensembles."""
        members = {arm for ensemble in self.ensembles.values() for arm in ensemble.arms}
        return frozenset({*self.weights, *self.fallback, *members} - self.ensembles.keys())

    def arm_deadline_s(self, arm: str) -> float:
        """Return the seconds that the arm has for its answer."""
        return self.deadlines_s.get(arm, self.deadline_s)


class ArmVersion(BaseModel):
    """The bundle that an arm serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_version: str = Field(description="version of the registered model")
    bundle: str = Field(description="content hash of the bundle, sha256:...")
    source: str = Field(description="where the bundle's files are found: a path or a URI")


class EnsembleVersion(ArmVersion):
    """The version of an ensemble, identified by the bundles of its members."""

    settings: EnsembleSettings
    members: tuple[tuple[str, ArmVersion], ...] = Field(description="each member with its version")

    @classmethod
    def combine(cls, settings: EnsembleSettings, arms: Mapping[str, ArmVersion]) -> Self:
        """Make the version of an ensemble from the versions that the arms serve now."""
        members = tuple((arm, arms[arm]) for arm in settings.arms)
        digest = sha256("\n".join(sorted(version.bundle for _, version in members)).encode())
        name = "+".join(f"{arm}:{version.model_version}" for arm, version in members)
        if len(name) > MAX_NAME_LENGTH:
            name = f"{name[: MAX_NAME_LENGTH - 3]}..."
        bundle = f"sha256:{digest.hexdigest()}"
        return cls(model_version=name, bundle=bundle, source="", settings=settings, members=members)


class HeldBack(BaseModel):
    """A champion that does not serve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_version: str = Field(description="version of the registered model that is the champion")
    reason: str = Field(description="why it does not serve")
    since: datetime = Field(description="when that was first so")


class RoutingTable(BaseModel):
    """The table that router replicas poll: the policy and the version of each arm, under one revision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = Field(ge=0, description="grows by one with every change")
    policy: RoutingPolicy = Field(description="how requests are spread")
    arms: dict[str, ArmVersion] = Field(description="the version that each arm serves")
    shadows: dict[str, ArmVersion] = Field(
        default_factory=dict, description="by arm, the version that gets a copy of what the arm answers"
    )
    previous: dict[str, ArmVersion] = Field(
        default_factory=dict, description="by arm, the version before, kept warm for a roll-back"
    )
    held_back: dict[str, HeldBack] = Field(
        default_factory=dict, description="by arm, the champion that is not what serves, and why"
    )

    @cached_property
    def versions(self) -> dict[str, ArmVersion]:
        """The versions that can answer now: of the arms, and of each ensemble whose members are all there."""
        ensembles = {
            name: EnsembleVersion.combine(ensemble, self.arms)
            for name, ensemble in self.policy.ensembles.items()
            if self.arms.keys() >= set(ensemble.arms)
        }
        return {**self.arms, **ensembles}

    @property
    def warm(self) -> tuple[tuple[str, ArmVersion], ...]:
        """The versions that replicas have loaded, each with its arm; those that answer come last."""
        return (*self.previous.items(), *self.shadows.items(), *self.arms.items())


class Decision(NamedTuple):
    """The arms that a request may go to.

    Attributes:
        arm: the arm that the request belongs to by its name or by the weights.
        attempts: arms to try, in this order, at least one. The first is not `arm` when its breaker is open.
        named: whether the request named the arm; such requests are left out of experiments.
        reason: one phrase for the log.
    """

    arm: str
    attempts: tuple[str, ...]
    named: bool
    reason: str


def choose(
    policy: RoutingPolicy,
    *,
    workload: str,
    available_arms: Collection[str],
    entity: str,
    request_key: str,
    requested_arm: str | None = None,
    is_open: Callable[[str], bool] = lambda arm: False,
) -> Decision:
    """Choose the arm of one request.

    A named arm is tried alone, even when its breaker is open: the caller asked for no other
    arm. Otherwise arms with an open breaker are passed over; when all are open, the chosen arm alone
    is tried, so that a request fails after one deadline and not after all of them.

    Args:
        policy: weights, stickiness and fallback order.
        workload: part of the hash, so that an entity may fall differently in another workload.
        available_arms: arms that have a version to serve.
        entity: key of a sticky choice.
        request_key: key of a choice that is not sticky, the id of the request.
        requested_arm: the arm that the request names, if any.
        is_open: whether the breaker of an arm is open.

    Raises:
        FieldError: the requested arm is not there.
        NoArmAvailable: no arm with a weight or in the fallback order is there.
    """
    choices = Choices(
        policy,
        workload=workload,
        available_arms=available_arms,
        requested_arm=requested_arm,
        is_open=is_open,
    )
    return choices.decide(entity, request_key)


class Choices:
    """The decisions of `choose` for requests that come at the same moment, looked up once for all of them.

    Args and errors are those of `choose`.
    """

    def __init__(
        self,
        policy: RoutingPolicy,
        *,
        workload: str,
        available_arms: Collection[str],
        requested_arm: str | None = None,
        is_open: Callable[[str], bool] = lambda arm: False,
    ) -> None:
        self._workload = workload
        self._sticky = policy.sticky
        self._is_open = is_open
        self._by_arm: dict[str, Decision] = {}
        self._only: Decision | None = None
        self._weights: dict[str, float] = {}
        if requested_arm is not None:
            if requested_arm not in available_arms:
                raise FieldError(ARM_HEADER, requested_arm, f"one of {sorted(available_arms)}")
            self._only = Decision(requested_arm, (requested_arm,), True, "named by the request")
            return
        self._weights = {arm: w for arm, w in policy.weights.items() if w > 0 and arm in available_arms}
        self._followers = [arm for arm in policy.fallback if arm in available_arms]
        if self._weights:
            return
        if not self._followers:
            raise NoArmAvailable(f"{workload}: none of the arms {sorted(policy.arms)} has a version to serve")
        self._only = self._decision(self._followers[0], "no arm with a weight is available")

    def decide(self, entity: str, request_key: str) -> Decision:
        """Choose the arms of one request."""
        if self._only is not None:
            return self._only
        arm = pick(self._weights, self._workload, entity if self._sticky else request_key)
        decision = self._by_arm.get(arm)
        if decision is None:
            decision = self._by_arm[arm] = self._decision(arm, "by weight")
        return decision

    def _decision(self, arm: str, reason: str) -> Decision:
        order = (arm, *(other for other in self._followers if other != arm))
        closed = tuple(other for other in order if not self._is_open(other))
        if not closed:
            return Decision(arm, (arm,), False, "every breaker is open")
        if closed[0] != arm:
            reason = f"the breaker of {arm} is open"
        return Decision(arm, closed, False, reason)


def check_arms(policy: RoutingPolicy, known_arms: Collection[str]) -> None:
    """Refuse a policy that names arms which the workload does not have, or an ensemble like one of them.

    Args:
        policy: the policy.
        known_arms: those with a deployment.

    Raises:
        FieldError: the first such arm, and those there are.
    """
    for name, ensemble in policy.ensembles.items():
        if name in known_arms:
            raise FieldError("ensembles", name, f"a name that no arm has: they are {sorted(known_arms)}")
        _check_known(f"ensembles.{name}.arms", ensemble.arms, known_arms)
    answering = {*known_arms, *policy.ensembles}
    _check_known("weights", policy.weights, answering)
    _check_known("fallback", policy.fallback, answering)


def _check_known(member: str, arms: Iterable[str], known_arms: Collection[str]) -> None:
    for arm in arms:
        if arm not in known_arms:
            raise FieldError(member, arm, f"arms out of {sorted(known_arms)}")
