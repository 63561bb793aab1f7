"""A round of load by `wrk`, a process of its own: its call, and its output.

`wrk --latency` has no 95th percentile, so a script in its own language (Lua) prints what we need as JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MARK = "bench-result "
_TIMEOUT_S = 10
_PATIENCE_S = 30

_SCRIPT = """\
local texts, bodies, turn = {}, {__BODIES__}, 0
local headers = {__HEADERS__}

function init()
  for i, body in ipairs(bodies) do texts[i] = wrk.format("POST", "__PATH__", headers, body) end
end

function request()
  turn = turn % #texts + 1
  return texts[turn]
end

function done(summary, latency)
  local e = summary.errors
  local form = '{"requests":%d,"duration_us":%d,"p50_us":%d,"p95_us":%d,"p99_us":%d,' ..
    '"refused":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}'
  io.write("__MARK__" .. string.format(form, summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(95), latency:percentile(99), e.status, e.connect, e.read, e.write, e.timeout) .. "\\n")
end
"""


class WrkMissing(RuntimeError):
    """There is no `wrk` on this machine."""


class WrkFailed(RuntimeError):
    """A run of `wrk` whose output cannot be read."""


@dataclass(frozen=True)
class Target:
    """The target of the load.

    Attributes:
        port: on loopback.
        path: of every request, which is a POST.
        headers: of every request.
        bodies: sent in turn.
    """

    port: int
    path: str
    headers: Mapping[str, str]
    bodies: Sequence[str]


@dataclass(frozen=True)
class Load:
    """The measurements of one round.

    Attributes:
        answered: requests with an answer that is no error.
        rate: of them, per second.
        p50_ms, p95_ms, p99_ms: latency of all answers.
        errors: answers of status 400 or more, and connections that failed or timed out.
    """

    answered: int
    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int


def require_wrk() -> str:
    """Return the path of `wrk`.

    Raises:
        WrkMissing: with what to do.
    """
    found = shutil.which("wrk")
    if found is None:
        raise WrkMissing(
            "wrk makes the load and is not installed: `apt-get install wrk` (Debian, Ubuntu), "
            "`brew install wrk` (macOS), or see https://github.com/wg/wrk"
        )
    return found


def run_wrk(target: Target, connections: int, duration_s: int, script: Path) -> Load:
    """Send requests from `connections` connections, each as soon as the one before it is answered.

    Args:
        script: where wrk's script is written.

    Raises:
        WrkFailed: it ended without a result.
    """
    script.write_text(lua_script(target))
    command = [
        require_wrk(),
        *("--threads", "1", "--connections", str(connections), "--duration", f"{duration_s}s"),
        *("--timeout", f"{_TIMEOUT_S}s", "--script", str(script), f"http://127.0.0.1:{target.port}"),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=duration_s + _PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WrkFailed(f"wrk did not end within {_PATIENCE_S} s of its time") from error
    return parse(done.stdout, done.stderr)


def lua_script(target: Target) -> str:
    """wrk's script for a target.

    Raises:
        ValueError: a text that Lua could not hold between `[==[` and `]==]`.
    """
    bodies = ", ".join(map(_long_text, target.bodies))
    headers = ", ".join(
        f"[ {_long_text(name)} ] = {_long_text(text)}" for name, text in target.headers.items()
    )
    script = _SCRIPT.replace("__PATH__", target.path).replace("__MARK__", _MARK)
    return script.replace("__HEADERS__", headers).replace("__BODIES__", bodies)


def parse(output: str, complaint: str = "") -> Load:
    """Read the result from what wrk printed.

    Raises:
        WrkFailed: there is none.
    """
    line = next((line for line in output.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        lines = (complaint or output).strip().splitlines()
        raise WrkFailed(f"wrk gave no result: {lines[-1] if lines else 'it said nothing'}")
    found = json.loads(line.removeprefix(_MARK))
    answered = found["requests"] - found["refused"]
    return Load(
        answered=answered,
        rate=answered / (found["duration_us"] / 1e6),
        p50_ms=found["p50_us"] / 1e3,
        p95_ms=found["p95_us"] / 1e3,
        p99_ms=found["p99_us"] / 1e3,
        errors=sum(found[kind] for kind in ("refused", "connect", "read", "write", "timeout")),
    )


def _long_text(text: str) -> str:
    if "]==]" in text:
        raise ValueError(f"got {text!r}, expected a text without ]==]")
    return f"[==[{text}]==]"
