"""The table of `docs/reference/environment.md`, from the class that reads the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import AliasChoices, BaseModel, Field
from pydantic.fields import FieldInfo

from scripts.rendering.model_tables import default_text, markdown_table, type_text


class Documented(BaseModel):
    """The variables that are read today, in many places.

    To be replaced by the settings class that reads them: `SETTINGS` may be any pydantic class.
    """

    var: str = Field("./var", alias="RAYSONDE_VAR", description="folder of all state")
    workloads: str = Field(
        "", alias="RAYSONDE_WORKLOADS", description="folder of your own workloads, beside the built-in ones"
    )
    store_url: str = Field(
        "sqlite:///VAR/store.db",
        alias="RAYSONDE_STORE_URL",
        description="SQLAlchemy URL of the store; may hold a password",
    )
    store_url_file: str = Field(
        "", alias="RAYSONDE_STORE_URL_FILE", description="file that holds the URL of the store, for a secret"
    )
    registry_uri: str = Field(
        "sqlite:///VAR/mlflow/mlflow.db",
        alias="RAYSONDE_REGISTRY_URI",
        description="MLflow's tracking and registry URI: a database, or an MLflow server",
    )
    registry_uri_file: str = Field(
        "", alias="RAYSONDE_REGISTRY_URI_FILE", description="file that holds the registry's URI, for a secret"
    )
    api_key: str = Field("", alias="RAYSONDE_API_KEY", description="key of the API, in place of a file")
    api_key_file: str = Field(
        "VAR/api-key", alias="RAYSONDE_API_KEY_FILE", description="file of the key; made where there is none"
    )
    url: str = Field(
        "http://127.0.0.1:8000",
        alias="RAYSONDE_URL",
        description="address of the API, for the commands that ask a running system",
    )
    cpus: str = Field(
        "", alias="RAYSONDE_CPUS", description="cores to keep to: a whole number, or `half`; empty: no bound"
    )
    direct_calls: str = Field(
        "node",
        alias="RAYSONDE_DIRECT_CALLS",
        description="address at which replicas take calls of each other: `node`, `loopback`, or `off` for "
        "calls through Serve alone; `raysonde up` sets `loopback`",
    )
    traces: str = Field(
        "", alias="RAYSONDE_TRACES", description="folder into which spans are written as JSON"
    )
    training_resource: str = Field(
        "",
        alias="RAYSONDE_TRAINING_RESOURCE",
        description="Ray resource of the nodes that may train; empty: any node",
    )
    haproxy_metrics_host: str = Field(
        "127.0.0.1",
        alias="RAYSONDE_HAPROXY_METRICS_HOST",
        description="address of HAProxy's metrics port; `*` on a cluster",
    )
    haproxy_request_lines: str = Field(
        "0",
        alias="RAYSONDE_HAPROXY_REQUEST_LINES",
        description="1: HAProxy sends Serve a line for each request, for Ray's own Serve dashboard",
    )
    haproxy: str = Field(
        "", alias="RAYSONDE_HAPROXY", description="HAProxy's binary; empty: the one that comes with Ray"
    )
    commit: str = Field(
        "", alias="RAYSONDE_COMMIT", description="commit of a copy without git, for the tags of models"
    )


SETTINGS: type[BaseModel] = Documented


@dataclass(frozen=True)
class Variable:
    """One environment variable, as text for a table."""

    name: str
    type: str
    default: str
    description: str


def variables(settings: type[BaseModel]) -> list[Variable]:
    """Return the variables that a settings class reads, nested classes included, in their order."""
    prefix = str(settings.model_config.get("env_prefix") or "")
    delimiter = str(settings.model_config.get("env_nested_delimiter") or "_")
    return list(_variables(settings, prefix, delimiter))


def markdown(settings: type[BaseModel] = SETTINGS) -> str:
    """Return the table of all variables."""
    rows = [(f"`{v.name}`", v.type, v.default, v.description) for v in variables(settings)]
    return markdown_table(("variable", "type", "default", "meaning"), rows)


def _variables(model: type[BaseModel], prefix: str, delimiter: str) -> Iterator[Variable]:
    for name, field in model.model_fields.items():
        variable = _alias(field) or f"{prefix}{name}".upper()
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _variables(annotation, f"{prefix}{name}{delimiter}", delimiter)
        else:
            yield Variable(variable, type_text(field), default_text(field), field.description or "")


def _alias(field: FieldInfo) -> str | None:
    alias = field.validation_alias or field.alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    return alias if isinstance(alias, str) else None
