"""Contenders: how each is started, asked and understood."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.benchmarks.bench import raysonde
from scripts.benchmarks.bench.table import NAMES

_PROGRAMS = Path(__file__).parent / "contenders"


@dataclass(frozen=True)
class Site:
    """The place of one start of a contender.

    Attributes:
        arm: the model that is served.
        models: folder of `scripts.benchmarks.bench.models`.
        folder: an empty one for what it writes.
        port: of HTTP, free.
        python: interpreter of this project.
        others: folder of the programs of the contenders' own environment.
        key: that requests carry.
    """

    arm: str
    models: Path
    folder: Path
    port: int
    python: Path
    others: Path
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))


@dataclass(frozen=True)
class Launch:
    """A command, and what its environment has beside ours."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """A way to serve a model.

    Attributes:
        name: as `CONTENDERS=` takes it.
        about: how it serves, for the page.
        package: whose version the page tells.
        launch: how it is started; may write files first.
        path: of a prediction.
        body: request for a row of 16 numbers.
        answer: the number in the parsed answer.
        sends_key: whether requests carry the key.
    """

    name: str
    about: str
    package: str
    launch: Callable[[Site], Launch]
    path: str
    body: Callable[[Sequence[float]], Any]
    answer: Callable[[Any], float]
    sends_key: bool = False

    def headers(self, site: Site) -> dict[str, str]:
        """Return the headers of every request."""
        headers = {"Content-Type": "application/json"}
        return headers | ({"Authorization": f"Bearer {site.key}"} if self.sends_key else {})

    def bodies(self, rows: Sequence[Sequence[float]]) -> list[str]:
        """Return the requests for these rows, as JSON."""
        return [json.dumps(self.body(row)) for row in rows]


def _named(row: Sequence[float]) -> dict[str, float]:
    return dict(zip(NAMES, row, strict=True))


def _prediction(answer: Any) -> float:
    return float(answer["prediction"])


def _with_model(site: Site, *command: str) -> Launch:
    return Launch(command, {"MODEL": str(site.models / site.arm / "model.joblib")})


def _naive(site: Site) -> Launch:
    launch = _with_model(site, str(site.python), str(_PROGRAMS / "naive_graph.py"), str(site.port))
    return Launch(launch.command, {**launch.environment, "RAY_USAGE_STATS_ENABLED": "0"})


def _fastapi(site: Site) -> Launch:
    address = ("--host", "127.0.0.1", "--port", str(site.port))
    program = ("--app-dir", str(_PROGRAMS), "fastapi_app:app")
    return _with_model(site, str(site.others / "uvicorn"), *address, *program)


def _litserve(site: Site) -> Launch:
    return _with_model(site, str(site.others / "python"), str(_PROGRAMS / "litserve_app.py"), str(site.port))


def _bentoml(site: Site) -> Launch:
    address = ("--host", "127.0.0.1", "--port", str(site.port))
    program = ("bentoml_app:Table", "--working-dir", str(_PROGRAMS))
    launch = _with_model(site, str(site.others / "bentoml"), "serve", *program, *address)
    own = {"BENTOML_HOME": str(site.folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    return Launch(launch.command, {**launch.environment, **own})


def _mlflow(site: Site) -> Launch:
    address = ("--host", "127.0.0.1", "--port", str(site.port))
    model = ("--model-uri", str(site.models / site.arm / "mlflow"), "--env-manager", "local")
    # it starts uvicorn by name
    path = {"PATH": f"{site.others}:/usr/local/bin:/usr/bin:/bin"}
    return Launch((str(site.others / "mlflow"), "models", "serve", *model, *address), path)


def _raysonde(profile: str) -> Contender:
    def launch(site: Site) -> Launch:
        bundle = site.models / site.arm / "bundle"
        raysonde.lay_out(site.folder, site.arm, bundle)
        command = raysonde.command(site.python, site.folder, site.port, profile)
        return Launch(command, raysonde.environment(site.folder, site.key))

    return Contender(
        name=f"raysonde-{profile}",
        about=f"`raysonde up --profile {profile}`, one router replica, one or two of the scaler and of "
        "the arm as the load asks for; journal and monitoring on; ONNX",
        package="ray",
        launch=launch,
        path=f"/{raysonde.WORKLOAD}/predict",
        body=lambda row: {"row": "r1", **_named(row)},
        answer=lambda answer: float(answer["prediction"]["y"]),
        sends_key=True,
    )


CONTENDERS: tuple[Contender, ...] = (
    _raysonde("fast"),
    _raysonde("plain"),
    Contender(
        name="naive",
        about="Ray Serve graph ingress, scaler, model; a replica each, 100 requests at once; scikit-learn",
        package="ray",
        launch=_naive,
        path="/predict",
        body=_named,
        answer=_prediction,
    ),
    Contender(
        name="fastapi",
        about="FastAPI, uvicorn with its default of one process; scikit-learn",
        package="fastapi",
        launch=_fastapi,
        path="/predict",
        body=_named,
        answer=_prediction,
    ),
    Contender(
        name="litserve",
        about="LitServe with its default of one worker, batches of 64 at most, default wait; scikit-learn",
        package="litserve",
        launch=_litserve,
        path="/predict",
        body=_named,
        answer=_prediction,
    ),
    Contender(
        name="bentoml",
        about="BentoML with its default of one worker, adaptive batching with its defaults; scikit-learn",
        package="bentoml",
        launch=_bentoml,
        path="/predict",
        body=lambda row: {"rows": [list(row)]},
        answer=lambda answer: float(answer[0]),
    ),
    Contender(
        name="mlflow",
        about="`mlflow models serve` with its default of one worker; scikit-learn",
        package="mlflow",
        launch=_mlflow,
        path="/invocations",
        body=lambda row: {"inputs": [list(row)]},
        answer=lambda answer: float(answer["predictions"][0]),
    ),
)
