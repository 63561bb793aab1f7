"""Every variable that is read from the environment, with its name, type, default and meaning.

No other module reads `os.environ`. Importing this one takes 25 ms and 1 MB in a replica, and more where there
is no asyncio yet, so that commands import it when they read the environment and not when they start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

_GIVEN = "variables"
_SHOWN = "shown"


class BadEnvironment(ValueError):
    """A variable holds what it may not; the message says which, what and what was expected."""


@dataclass(frozen=True)
class Variable:
    """A variable, in words.

    Attributes:
        default: empty where there is none; `VAR` stands for the folder of RAYSONDE_VAR.
        owner: raysonde, or the library whose variable it is.
    """

    name: str
    type: str
    default: str
    description: str
    owner: str


def _variable(name: str, description: str, default: Any = "", *, shown: str = "") -> Any:
    """Return the field of a variable; `shown` is a default that depends on other variables."""
    return Field(
        default,
        validation_alias=name,
        description=description,
        json_schema_extra={_SHOWN: shown or str(default)},
    )


class Environment(BaseSettings):
    """The variables of a process, as text unless a type says more. An empty one counts as not set.

    What only one command understands is checked by it (`RAYSONDE_CPUS` by `scripts.host.cpus`), so that a
    mistake there stops no other command. Secrets do not show in a `repr`.
    """

    model_config = SettingsConfigDict(case_sensitive=True, env_ignore_empty=True, extra="ignore", frozen=True)

    var: Path | None = _variable(
        "RAYSONDE_VAR", "folder of all state", None, shown="./var, or that of the checkout"
    )
    workloads: Path | None = _variable(
        "RAYSONDE_WORKLOADS", "folder of your own workloads, beside the built-in ones", None, shown="none"
    )
    store_url: SecretStr | None = _variable(
        "RAYSONDE_STORE_URL",
        "SQLAlchemy URL of the store; may hold a password",
        None,
        shown="sqlite:///VAR/store.db",
    )
    store_url_file: Path | None = _variable(
        "RAYSONDE_STORE_URL_FILE", "file that holds the URL of the store, for a secret", None, shown="none"
    )
    registry_uri: SecretStr | None = _variable(
        "RAYSONDE_REGISTRY_URI",
        "MLflow's tracking and registry URI: a database, or an MLflow server; may hold a password",
        None,
        shown="sqlite:///VAR/mlflow/mlflow.db",
    )
    registry_uri_file: Path | None = _variable(
        "RAYSONDE_REGISTRY_URI_FILE", "file that holds the registry's URI, for a secret", None, shown="none"
    )
    api_key: SecretStr = _variable(
        "RAYSONDE_API_KEY", "key of the API, in place of a file", SecretStr(""), shown="none"
    )
    api_key_file: Path | None = _variable(
        "RAYSONDE_API_KEY_FILE", "file of the API's key; made where there is none", None, shown="VAR/api-key"
    )
    url: str = _variable(
        "RAYSONDE_URL",
        "address of the API, for the commands that ask a running system",
        "http://127.0.0.1:8000",
    )
    cpus: str = _variable(
        "RAYSONDE_CPUS", "cores to keep to: a whole number from 1, or `half`", shown="no bound"
    )
    direct_calls: str = _variable(
        "RAYSONDE_DIRECT_CALLS",
        "address at which replicas take calls of each other: `node`, `loopback`, or `off` for calls "
        "through Serve alone; `raysonde up` sets `loopback`",
        shown="node",
    )
    traces: Path | None = _variable(
        "RAYSONDE_TRACES", "folder into which spans are written as lines of JSON", None, shown="none"
    )
    training_resource: str = _variable(
        "RAYSONDE_TRAINING_RESOURCE", "Ray resource of the nodes that may train", shown="any node"
    )
    commit: str = _variable(
        "RAYSONDE_COMMIT", "commit of a copy without git, for the tags of models", shown="git's"
    )
    haproxy: str = _variable("RAYSONDE_HAPROXY", "HAProxy's binary", shown="the one that comes with Ray")
    haproxy_metrics_host: str = _variable(
        "RAYSONDE_HAPROXY_METRICS_HOST", "address of HAProxy's metrics port; `*` on a cluster", "127.0.0.1"
    )
    haproxy_request_lines: str = _variable(
        "RAYSONDE_HAPROXY_REQUEST_LINES",
        "1: HAProxy sends Serve a line for each request, for Ray's own Serve dashboard",
        "0",
    )

    ray_address: str = _variable(
        "RAY_ADDRESS", "cluster for the commands that compute", shown="a Ray of its own"
    )
    ray_auth_token: SecretStr = _variable("RAY_AUTH_TOKEN", "Ray's token", SecretStr(""), shown="made")
    ray_auth_token_path: Path | None = _variable(
        "RAY_AUTH_TOKEN_PATH", "file of Ray's token", None, shown="VAR/ray-token"
    )
    ray_use_tls: str = _variable("RAY_USE_TLS", "1: Ray has TLS, and replicas call through Serve alone", "0")
    ray_tmpdir: Path | None = _variable(
        "RAY_TMPDIR", "folder of Ray's sessions", None, shown="TMPDIR on Linux, else /tmp"
    )
    ray_serve_enable_ha_proxy: str = _variable(
        "RAY_SERVE_ENABLE_HA_PROXY", "1: Serve stands behind HAProxy", "0"
    )
    ray_serve_haproxy_binary_path: str = _variable(
        "RAY_SERVE_HAPROXY_BINARY_PATH", "HAProxy's binary, for Serve", shown="the one that comes with Ray"
    )
    ray_serve_haproxy_metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        validation_alias="RAY_SERVE_HAPROXY_METRICS_PORT",
        description="port of HAProxy's metrics on each node",
        json_schema_extra={_SHOWN: "none"},
    )
    otel_sdk_disabled: str = _variable("OTEL_SDK_DISABLED", "true: no traces", "false")
    otel_traces_exporter: str = _variable(
        "OTEL_TRACES_EXPORTER", "`otlp`, or anything else to send no traces to a collector", "otlp"
    )
    otel_traces_endpoint: str = _variable(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "URL of the collector's traces", shown="none"
    )
    otel_endpoint: str = _variable("OTEL_EXPORTER_OTLP_ENDPOINT", "URL of the collector", shown="none")
    mlflow_tracking_token: SecretStr = _variable(
        "MLFLOW_TRACKING_TOKEN", "token of an MLflow server", SecretStr(""), shown="none"
    )
    mlflow_tracking_username: str = _variable(
        "MLFLOW_TRACKING_USERNAME", "user of an MLflow server", shown="none"
    )
    mlflow_tracking_password: SecretStr = _variable(
        "MLFLOW_TRACKING_PASSWORD", "password of that user", SecretStr(""), shown="none"
    )
    python_path: str = _variable(
        "PYTHONPATH", "where Python looks for modules; passed on to jobs", shown="none"
    )
    tmpdir: Path | None = _variable("TMPDIR", "folder of temporary files", None, shown="/tmp")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but the environment: that of this process, or the one that was given."""
        del settings_cls, dotenv_settings, file_secret_settings
        assert isinstance(init_settings, InitSettingsSource)
        assert isinstance(env_settings, EnvSettingsSource)
        if (given := init_settings.init_kwargs.get(_GIVEN)) is not None:
            env_settings.env_vars = {name: value for name, value in given.items() if value}
        return (env_settings,)

    @classmethod
    def read(cls) -> Self:
        """Return the variables of this process.

        Raises:
            BadEnvironment: one of them holds what it may not.
        """
        return cls.of(os.environ)

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Self:
        """Return those of an environment that is at hand, such as one made for a child process.

        Raises:
            BadEnvironment: one of them holds what it may not.
        """
        given: dict[str, Any] = {_GIVEN: variables}
        try:
            return cls(**given)
        except ValidationError as error:
            raise BadEnvironment("; ".join(map(_reason, error.errors()))) from None

    @classmethod
    def variables(cls) -> list[Variable]:
        """Return all variables in the order of their declaration, for documentation."""
        return [
            Variable(
                name=str(field.validation_alias),
                type=_type_of(field.annotation),
                default=str((field.json_schema_extra or {}).get(_SHOWN, "")),  # type: ignore[union-attr]
                description=field.description or "",
                owner=_OWNERS.get(str(field.validation_alias).split("_")[0], "the system"),
            )
            for field in cls.model_fields.values()
        ]


_OWNERS = {"RAYSONDE": "raysonde", "RAY": "Ray", "OTEL": "OpenTelemetry", "MLFLOW": "MLflow"}
_TYPES = {str: "text", int: "whole number", Path: "path", SecretStr: "secret"}


def _type_of(annotation: Any) -> str:
    kinds = [annotation, *getattr(annotation, "__args__", ())]
    return next(_TYPES[kind] for kind in kinds if kind in _TYPES)


def _reason(error: Mapping[str, Any]) -> str:
    expected = str(error["msg"]).removeprefix("Input should be ")
    return f"{error['loc'][0]}: got {error['input']!r}, expected {expected}"
