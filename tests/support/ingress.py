"""What stands before pods in Kubernetes: an Ingress over those endpoints whose readiness probe is well."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Probe:
    """When a kubelet takes a pod for ready; one success is enough.

    Attributes:
        path: that it asks; what has a status below 400 is well.
        initial_delay_s: before it asks first.
        period_s: from one question to the next.
        timeout_s: of one.
        failure_threshold: questions in a row that fail before the pod is not ready any more.
    """

    path: str
    initial_delay_s: float
    period_s: float
    timeout_s: float
    failure_threshold: int

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Probe:
        """From the `readinessProbe` of a container."""
        assert "successThreshold" not in manifest, "more than one success is not played here"
        return cls(
            path=manifest["httpGet"]["path"],
            initial_delay_s=manifest["initialDelaySeconds"],
            period_s=manifest["periodSeconds"],
            timeout_s=manifest["timeoutSeconds"],
            failure_threshold=manifest["failureThreshold"],
        )


class NoEndpoint(Exception):
    """No pod is ready, or none that is takes a connection: an Ingress would answer 503."""


class Ingress:
    """Hands requests to the ready endpoints in turn, as ingress-nginx does.

    What an endpoint refuses to take goes to the next one; what was sent to one is sent to no other.

    Args:
        probe: of the pods.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._ready: tuple[str, ...] = ()
        self._answered: Counter[str] = Counter()
        self._turns = itertools.count()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._probers: list[threading.Thread] = []

    def add(self, url: str) -> None:
        """A pod has started, and is asked from now on."""
        prober = threading.Thread(target=self._ask, args=(url,))
        self._probers.append(prober)
        prober.start()

    def ready(self) -> set[str]:
        """URLs of the endpoints that get requests now."""
        return set(self._ready)

    def answered(self, url: str) -> int:
        """Requests that this endpoint has answered, in whatever way."""
        with self._lock:
            return self._answered[url]

    def post(self, client: httpx.Client, path: str, content: str) -> httpx.Response:
        """Raises NoEndpoint, and httpx.HTTPError for what was sent and is lost."""
        refused: httpx.HTTPError | None = None
        for url in self._in_turn():
            try:
                answer = client.post(f"{url}{path}", content=content)
            except httpx.ConnectError as error:
                refused = error
                continue
            with self._lock:
                self._answered[url] += 1
            return answer
        raise NoEndpoint(f"{path}: {self._ready or 'no endpoint'}") from refused

    def end(self) -> None:
        """Nobody is asked any more."""
        self._ended.set()
        for prober in self._probers:
            prober.join()

    def _in_turn(self) -> tuple[str, ...]:
        ready = self._ready
        first = next(self._turns) % max(len(ready), 1)
        return ready[first:] + ready[:first]

    def _ask(self, url: str) -> None:
        failed = 0
        # a kubelet opens a connection for each question
        limits = httpx.Limits(max_keepalive_connections=0)
        pause_s = self._probe.initial_delay_s
        with httpx.Client(timeout=self._probe.timeout_s, limits=limits) as client:
            while not self._ended.wait(pause_s):
                pause_s = self._probe.period_s
                failed = 0 if self._is_well(client, url) else failed + 1
                if failed == 0 or failed >= self._probe.failure_threshold:
                    self._set(url, is_ready=failed == 0)

    def _is_well(self, client: httpx.Client, url: str) -> bool:
        try:
            return client.get(f"{url}{self._probe.path}").status_code < 400
        except httpx.HTTPError:
            return False

    def _set(self, url: str, *, is_ready: bool) -> None:
        with self._lock:
            others = tuple(one for one in self._ready if one != url)
            self._ready = (*others, url) if is_ready else others


@contextmanager
def ingress(probe: Probe) -> Iterator[Ingress]:
    """Without endpoints as yet; ended in any case."""
    running = Ingress(probe)
    try:
        yield running
    finally:
        running.end()
