"""The composition of the graph of one workload: the only file with a `.bind()` of it.

Router -> FeatureScaler -> arms, and a LifecycleController beside them unless the root application has one for
this workload too. Named in `serve_config.yaml`, which sets replicas and resources of each deployment.
"""
# No `from __future__ import annotations` here: Serve reads the builder's annotation at run time.

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from ray import serve
from ray.serve import Application

from deployments.actors.arm import Arm
from deployments.actors.base import ReplicaOptions
from deployments.actors.bind_address import bind_address
from deployments.actors.feature_scaler import FeatureScaler
from deployments.actors.lifecycle_controller import LifecycleController
from deployments.actors.router import Router
from deployments.domain.routing import RoutingPolicy
from deployments.http.auth import behind_proxy, read_or_create_key
from deployments.monitoring.settings import MonitoringSettings
from deployments.store import Store
from features.config import load_sections
from features.contract import Contract
from features.old_spellings import respell_keys
from training.registry.listing import has_champion
from training.runtime.environment import Environment
from training.runtime.settings import Settings, without_password


class AppArguments(BaseModel):
    """`args` of an application in `serve_config.yaml`."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _respell(cls, values: Any) -> Any:
        return respell_keys("args", values, {"own_steward": "own_lifecycle_controller"})

    workload: str = Field(description="name of its YAML file, without .yaml")
    open_on_loopback: bool = Field(
        default=True, description="answer requests of this machine without a key, in the plain profile"
    )
    own_lifecycle_controller: bool = Field(
        default=True,
        description="whether the application brings its models into service itself; "
        "false when the root application's `workloads` name it",
    )


class EmptyRegistry(RuntimeError):
    """The registry has no model of the workload yet."""


def build(arguments: AppArguments) -> Application:
    """Build the application of one workload.

    Raises:
        InvalidBindAddress: RAYSONDE_DIRECT_CALLS has an unknown value.
        EmptyRegistry: no model is trained yet; the message names the command that trains.
        FileNotFoundError: there is no such workload.
    """
    settings, environment = Settings.from_environment(), Environment.read()
    sections = load_sections(settings.workloads, arguments.workload)
    contract = Contract.model_validate(sections["contract"])
    policy = RoutingPolicy.model_validate(sections["routing"])
    # an error shows here, not in the Monitor
    MonitoringSettings.model_validate(sections.get("monitoring") or {})
    _prepare_store(settings, contract.workload, policy)
    options = ReplicaOptions(
        contract,
        settings.bundle_cache,
        settings.logs,
        settings.store_url,
        settings.registry_uri,
        bind_address=bind_address(environment),
    )
    arms = {arm: serve.deployment(Arm).options(name=arm).bind(arm, options) for arm in sorted(policy.arms)}
    scaler = serve.deployment(FeatureScaler).options(name="FeatureScaler").bind(options, arms)
    controller = None
    if arguments.own_lifecycle_controller:
        deployment = serve.deployment(LifecycleController).options(name="LifecycleController")
        controller = deployment.bind(settings, [contract.workload])
    key = read_or_create_key(settings.api_key_file, environment)
    open_on_loopback = arguments.open_on_loopback and not behind_proxy(environment)
    router = serve.deployment(Router).options(name="Router")
    return router.bind(options, key, open_on_loopback, scaler, tuple(arms), controller)


def _prepare_store(settings: Settings, workload: str, policy: RoutingPolicy) -> None:
    """Make sure of the tables, of a policy, and of models to serve."""
    store = Store(settings.store_url)
    store.create_tables()
    store.seed_policy(workload, policy)
    _require_models(settings, store, workload)


def _require_models(settings: Settings, store: Store, workload: str) -> None:
    table = store.routing(workload)
    if table is not None and table.arms:
        return  # served before: the registry need not answer
    if not has_champion(settings, workload):
        raise EmptyRegistry(
            f"no model of {workload} in {without_password(settings.registry_uri)};"
            f" train one with: raysonde train {workload}"
        )
