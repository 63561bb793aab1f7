"""One child from its start to the end of its last descendant."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from scripts.host.interruption import Interruption
from scripts.host.processes import RUN_ID_VARIABLE, of_run
from scripts.launcher.readiness import Stage
from scripts.launcher.supervisor import ChildDied, Supervisor

RUN = "run-supervised"
GOOD = """
import signal, subprocess, sys, time
print("WARNING something", flush=True)
print("nothing special", flush=True)
orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={})
print("started", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("in good order", flush=True)
"""


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_POLL_S", "_WATCH_S"):
        monkeypatch.setattr(f"scripts.launcher.supervisor.{name}", 0.02)


def supervise(tmp_path: Path, program: str) -> Supervisor:
    environment = {**os.environ, RUN_ID_VARIABLE: RUN, "PYTHONUNBUFFERED": "1"}
    log = tmp_path / "logs" / "child.log"
    return Supervisor([sys.executable, "-c", program], environment, log, RUN, (), stragglers_s=0.2)


def log_has(tmp_path: Path, text: str) -> bool:
    return text in (tmp_path / "logs" / "child.log").read_text()


def test_a_child_is_stopped_in_good_order_and_its_orphans_with_it(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, GOOD)
    shown: list[str] = []
    with Interruption() as interruption:
        supervisor.start()
        supervisor.wait_until_ready(
            lambda: Stage("up", ready=log_has(tmp_path, "started")), shown.append, interruption
        )
        assert len(of_run(RUN)) == 2
        assert not supervisor.stop(interruption)
    assert of_run(RUN) == []
    assert supervisor.last_lines()[-1] == "in good order"
    assert set(shown) == {"up"}


def test_a_child_that_dies_is_reported_with_its_exit_code(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, "import sys; print('no luck'); sys.exit(3)")
    with Interruption() as interruption:
        supervisor.start()
        with pytest.raises(ChildDied, match="exit code 3"):
            supervisor.wait_until_ready(lambda: Stage("waiting"), lambda text: None, interruption)
        assert not supervisor.stop(interruption)
    assert supervisor.last_lines() == ["no luck"]


def test_a_stage_that_failed_ends_the_wait(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, GOOD)

    def fails_once_started() -> Stage:  # Python drops an interrupt that comes while it starts
        return Stage("x", failure="no model yet" if log_has(tmp_path, "started") else None)

    with Interruption() as interruption:
        supervisor.start()
        with pytest.raises(ChildDied, match="no model yet"):
            supervisor.wait_until_ready(fails_once_started, print, interruption)
        supervisor.stop(interruption)


def test_warnings_are_passed_on_and_a_signal_ends_the_watch(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, GOOD)
    shown: list[str] = []

    def show(line: str) -> None:
        shown.append(line)
        os.kill(os.getpid(), signal.SIGTERM)

    with Interruption() as interruption:
        supervisor.start()
        supervisor.watch(show, interruption)
        assert interruption.requested
        supervisor.stop(interruption)
    assert shown == ["WARNING something"]


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        supervisor = supervise(tmp_path, f"print('{word}')")
        with Interruption() as interruption:
            supervisor.start()
            assert supervisor.wait(interruption) == 0
            supervisor.stop(interruption)
    assert (tmp_path / "logs" / "child.before.log").read_text() == "first\n"
    assert supervisor.last_lines() == ["second"]


def test_two_signals_at_once_are_one_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 50.0
    monkeypatch.setattr("scripts.host.interruption.time.monotonic", lambda: now_s)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (interruption.requested, interruption.hurry, interruption.hang_up) == (True, False, False)
        now_s = 51.5
        os.kill(os.getpid(), signal.SIGHUP)
        assert (interruption.hurry, interruption.hang_up) == (True, True)


def test_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
