"""The routes that describe a workload: its health, its arms and ensembles with their models, its contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

from deployments.domain.routing import ArmVersion, RoutingTable
from deployments.http.bodies import json_response
from deployments.inference.stack import ServingStack
from deployments.requests.schema import instance_json_schema

# Arms that any of the router replicas waits for.
WaitingFor = Callable[[], Awaitable[tuple[str, ...]]]


class Health(BaseModel):
    """The readiness of a workload."""

    status: str = Field(description="ready or starting")
    waiting_for: tuple[str, ...] = Field(description="arms that do not answer every replica yet")


class VersionInfo(BaseModel):
    """A version beside the one that an arm serves."""

    model_version: str
    bundle: str


class ArmInfo(BaseModel):
    """The model that an arm serves, with its metrics on held-out data."""

    model_version: str
    bundle: str
    family: str
    git_commit: str
    data_hash: str
    created_at: str
    scaler: str
    features: int
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    breaker: str
    level: float | None = Field(
        description="coverage at which regions are made now, so that they hold the nominal one; "
        "null where it is that"
    )
    predictions: int = Field(description="answers of this replica of the router since it started")
    outliers: int = Field(description="of them, about instances outside of all of the reference")
    cache_hits: int = Field(description="answers found in the cache; 0 while the policy has none")
    cache_misses: int = Field(description="lookups that found no answer")
    shadow: VersionInfo | None = Field(description="the version that predicts beside the arm")
    previous: VersionInfo | None = Field(description="the version before, kept warm")


class HeldBackInfo(BaseModel):
    """A champion that an arm does not serve."""

    model_version: str
    reason: str
    since: str = Field(description="when that was first so, UTC")


class MemberInfo(BaseModel):
    """The part of an arm in an ensemble."""

    share: float = Field(description="of what the ensemble answers now; the shares sum to 1")
    truths: int = Field(description="errors of its present model that the share may be from")


class EnsembleInfo(BaseModel):
    """An ensemble with its members."""

    model_version: str
    bundle: str = Field(description="hash of the bundles of its members")
    members: dict[str, MemberInfo]
    window: int
    min_truths: int
    breaker: str
    predictions: int = Field(description="as for an arm")
    outliers: int = Field(description="as for an arm; a member that says so is enough")


class Info(BaseModel):
    """The models that a workload serves."""

    workload: str
    description: str
    schema_version: str
    revision: int | None = Field(description="of the routing table")
    arms: dict[str, ArmInfo]
    ensembles: dict[str, EnsembleInfo] = Field(description="arms that blend what others predict")
    held_back: dict[str, HeldBackInfo] = Field(
        description="champions that are not what serves, by arm, with the reason; none when all is well"
    )


def add_info(app: FastAPI, stack: ServingStack, waiting_for: WaitingFor | None) -> None:
    """Add the routes of a workload."""

    @app.get(
        "/healthz",
        summary="Whether requests are answered",
        responses={503: {"model": Health, "description": "some arm does not answer yet"}},
    )
    async def healthz(response: Response) -> Health:
        waiting = await waiting_for() if waiting_for else stack.follower.waiting_for
        response.status_code = 503 if waiting else 200
        return Health(status="starting" if waiting else "ready", waiting_for=waiting)

    @app.get("/info", summary="Arms with their models, versions and metrics")
    async def info() -> Info:
        return describe(stack)

    @app.get("/schema", summary="The contract as JSON Schema")
    async def schema() -> Response:
        return json_response(instance_json_schema(stack.contract))


def describe(stack: ServingStack) -> Info:
    """Return the models that this router replica serves now."""
    contract, table = stack.contract, stack.follower.table
    return Info(
        workload=contract.workload,
        description=contract.description,
        schema_version=contract.schema_version,
        revision=table.revision if table else None,
        arms=_arms(stack, table) if table else {},
        ensembles=_ensembles(stack),
        held_back=_held_back(table) if table else {},
    )


def _arms(stack: ServingStack, table: RoutingTable) -> dict[str, ArmInfo]:
    return {
        arm: ArmInfo(
            model_version=version.model_version,
            bundle=version.bundle,
            family=card.family,
            git_commit=card.git_commit,
            data_hash=card.data_hash,
            created_at=card.created_at.isoformat(),
            scaler="standard",
            features=len(card.feature_names),
            metrics=card.metrics,
            baselines=card.baselines,
            breaker=stack.dispatcher.breaker(arm).state,
            level=stack.levels.level(arm, version.bundle),
            predictions=stack.counts.predictions[arm],
            outliers=stack.counts.outliers[arm],
            cache_hits=stack.dispatcher.cache.hits[arm],
            cache_misses=stack.dispatcher.cache.misses[arm],
            shadow=_version_info(table.shadows.get(arm)),
            previous=_version_info(table.previous.get(arm)),
        )
        for arm, (version, card) in stack.follower.cards().items()
    }


def _held_back(table: RoutingTable) -> dict[str, HeldBackInfo]:
    return {
        arm: HeldBackInfo(
            model_version=one.model_version, reason=one.reason, since=one.since.isoformat(timespec="seconds")
        )
        for arm, one in table.held_back.items()
    }


def _version_info(version: ArmVersion | None) -> VersionInfo | None:
    if version is None:
        return None
    return VersionInfo(model_version=version.model_version, bundle=version.bundle)


def _ensembles(stack: ServingStack) -> dict[str, EnsembleInfo]:
    return {
        name: EnsembleInfo(
            model_version=version.model_version,
            bundle=version.bundle,
            members={
                arm: MemberInfo(share=share, truths=stack.errors.truths(member.bundle))
                for (arm, member), share in zip(
                    version.members, stack.ensemble.shares(version).values(), strict=True
                )
            },
            window=version.settings.window,
            min_truths=version.settings.min_truths,
            breaker=stack.dispatcher.breaker(name).state,
            predictions=stack.counts.predictions[name],
            outliers=stack.counts.outliers[name],
        )
        for name, version in stack.follower.ensembles().items()
    }
