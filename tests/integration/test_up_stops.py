"""`raysonde up` as a user ends it. A file of its own: other tests of its system get another one."""

from __future__ import annotations

import signal
from urllib.parse import urlsplit

import pytest

from scripts.host.processes import of_run
from scripts.launcher.preflight import is_free
from scripts.launcher.run_state import RunState
from tests.support.system import RunningSystem

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_ctrl_c_leaves_no_process_and_no_port(fast_system: RunningSystem) -> None:
    state = RunState.read(fast_system.settings.var)
    assert state is not None
    names = {process.name() for process in of_run(state.run_id)}
    assert {"raylet", "gcs_server", "haproxy"} <= names
    fast_system.process.send_signal(signal.SIGINT)
    assert fast_system.process.wait(timeout=120) == 0
    assert "Everything has stopped" in fast_system.output.read_text()
    assert of_run(state.run_id) == []
    assert is_free(urlsplit(fast_system.url).port or 0)
    assert is_free(urlsplit(fast_system.dashboard_url).port or 0)
    assert RunState.read(fast_system.settings.var) is None
