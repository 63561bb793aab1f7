"""HTTP client of a running system, for the commands.

ApiError
 |- NotRunning    nothing answers at the address
 `- ApiRefused       an answer that is no success, with the reason that the system gave
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from deployments.domain.promotion import Promotion
from deployments.domain.retraining import Retraining
from deployments.monitoring.view import MonitorPage
from features.targets import AnyTarget
from training.runtime.settings import Settings
from training.runtime.tasks.base import ArmAnswer

FloatArray = NDArray[np.float64]

ARM_HEADER = "Raysonde-Arm"
MAX_TRUTHS = 1000


class ApiError(RuntimeError):
    """Base of what can go wrong between a command and the system."""


class NotRunning(ApiError):
    """An address at which nothing answers."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"nothing answers at {url} ({reason}): start it with `raysonde up`, or set RAYSONDE_URL"
        )


class ApiRefused(ApiError):
    """The system answered, but not with a success.

    Attributes:
        status: HTTP status.
        detail: the reason, from the problem document if there is one.
        retry_after_s: pause after which an answer may be had; None where asking again does not help.
    """

    def __init__(self, status: int, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Connection:
    """The address of a system, and the key for it (None: send none)."""

    url: str
    key: str | None

    @classmethod
    def find(cls, settings: Settings, url: str | None = None) -> Connection:
        """Find the URL (argument, RAYSONDE_URL, default) and the key (RAYSONDE_API_KEY, `var/api-key`)."""
        from training.runtime.environment import Environment  # here: see there

        variables = Environment.read()
        address = url or variables.url
        key = variables.api_key.get_secret_value()
        if not key and settings.api_key_file.is_file():
            key = settings.api_key_file.read_text().strip()
        return cls(address.rstrip("/"), key or None)

    def open(
        self, connections: int = 16, transport: httpx.AsyncBaseTransport | None = None
    ) -> httpx.AsyncClient:
        """Open a client of at most that many connections, over the network by default; callers close it."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            timeout=httpx.Timeout(30.0, connect=5.0),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            transport=transport,
        )


@dataclass(frozen=True)
class Prediction:
    """An answer of `POST /predict`."""

    id: str
    row: ArmAnswer
    arm: str
    model_version: str
    bundle: str
    fallback: bool

    @classmethod
    def parse(cls, body: Mapping[str, Any], target: AnyTarget) -> Prediction:
        """Parse the JSON of an answer."""
        return cls(
            id=body["id"],
            row=ArmAnswer(
                body["prediction"],
                body.get(target.region, {}),
                body["coverage"],
                body.get("outlier_score"),
            ),
            arm=body["arm"],
            model_version=body["model_version"],
            bundle=body["bundle"],
            fallback=body["fallback"],
        )


@dataclass(frozen=True)
class FeedbackCounts:
    """Counts of what became of truths."""

    accepted: int = 0
    duplicate: int = 0
    unmatched: int = 0

    def __add__(self, other: FeedbackCounts) -> FeedbackCounts:
        return FeedbackCounts(
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.unmatched + other.unmatched,
        )


class WorkloadClient:
    """The calls of one workload. Raises `ApiError`, never retries.

    Args:
        http: from `Connection.open`.
        workload: name.
        target: what it predicts.
    """

    def __init__(self, http: httpx.AsyncClient, workload: str, target: AnyTarget) -> None:
        self._http = http
        self._root = f"/{workload}"
        self._target = target

    async def arms(self) -> list[str]:
        """Names of the arms that answer: those that serve a model, and ensembles of them."""
        info = await self._call("GET", "/info")
        return [*info["arms"], *info.get("ensembles", ())]

    async def predict(self, instance: bytes, arm: str | None = None) -> Prediction:
        """Ask one arm, or whichever the system chooses, about one instance (JSON)."""
        headers = {ARM_HEADER: arm} if arm else {}
        return Prediction.parse(await self._call("POST", "/predict", instance, headers), self._target)

    async def feedback(self, truths: Mapping[str, FloatArray]) -> FeedbackCounts:
        """Send the truth of each prediction id, as the arrays of the target have them."""
        name, to_json = self._target.name, self._target.to_json
        items = [{"id": key, "truth": {name: to_json(truth)}} for key, truth in truths.items()]
        counts = FeedbackCounts()
        for part in _parts(items, MAX_TRUTHS):
            answer = await self._call("POST", "/feedback", orjson.dumps({"items": part}))
            counts += FeedbackCounts(answer["accepted"], answer["duplicate"], answer["unmatched"])
        return counts

    async def retrain(self, note: str = "") -> Retraining:
        """Ask for a retraining; the one that it became, or was merged into."""
        answer = await self._call("POST", "/retrain", orjson.dumps({"note": note}))
        return Retraining.model_validate(answer)

    async def retrainings(self) -> list[Retraining]:
        """Return the last ones, newest first."""
        return [Retraining.model_validate(one) for one in await self._call("GET", "/retrainings")]

    async def retraining(self, retraining_id: str) -> Retraining:
        """Return the state of a retraining."""
        return Retraining.model_validate(await self._call("GET", f"/retrainings/{retraining_id}"))

    async def promote(self, arm: str, model_version: str, note: str = "") -> Promotion:
        """Have an arm serve this version."""
        wish = orjson.dumps({"model_version": model_version, "note": note})
        return Promotion.model_validate(await self._call("POST", f"/arms/{arm}/promote", wish))

    async def roll_back(self, arm: str, note: str = "") -> Promotion:
        """Have an arm serve the version before again."""
        wish = orjson.dumps({"note": note})
        return Promotion.model_validate(await self._call("POST", f"/arms/{arm}/rollback", wish))

    async def abort(self, promotion_id: str, note: str = "") -> Promotion:
        """End a promotion where it is."""
        wish = orjson.dumps({"note": note})
        return Promotion.model_validate(await self._call("POST", f"/promotions/{promotion_id}/abort", wish))

    async def promotion(self, promotion_id: str) -> Promotion:
        """Return the state of a promotion."""
        return Promotion.model_validate(await self._call("GET", f"/promotions/{promotion_id}"))

    async def promotions(self) -> list[Promotion]:
        """Return the last ones, newest first."""
        return [Promotion.model_validate(one) for one in await self._call("GET", "/promotions")]

    async def monitor(self) -> MonitorPage:
        """Return the last page of the monitor."""
        return MonitorPage.model_validate(await self._call("GET", "/monitor"))

    async def _call(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        try:
            response = await self._http.request(
                method,
                self._root + path,
                content=content,
                headers={"Content-Type": "application/json", **(headers or {})},
            )
        except httpx.TransportError as error:
            raise NotRunning(str(self._http.base_url), str(error) or type(error).__name__) from error
        if response.is_success:
            return orjson.loads(response.content)
        raise ApiRefused(response.status_code, _reason(response), _retry_after_s(response))


def _reason(response: httpx.Response) -> str:
    try:
        problem = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        problem = None
    if isinstance(problem, dict) and problem.get("detail"):
        return str(problem["detail"])
    return response.text.strip()[:200] or response.reason_phrase


def _retry_after_s(response: httpx.Response) -> float | None:
    """Return the seconds of the header; None for a date, which the system never sends."""
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else None


def _parts(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
