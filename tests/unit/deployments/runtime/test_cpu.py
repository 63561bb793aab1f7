from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from deployments.runtime.cpu import CpuUsage, IdleCpuMeter, read_cpu_usage


class Machine:
    """Of two processors, with hands to set."""

    now_s = 100.0
    used_s = 7.0

    def read(self) -> CpuUsage:
        return CpuUsage(2, self.used_s)


def test_the_mean_is_over_the_time_since_it_was_asked() -> None:
    machine = Machine()
    idle = IdleCpuMeter(lambda: machine.now_s, machine.read)
    machine.now_s, machine.used_s = 110.0, 12.0
    assert idle.mean() == pytest.approx(1.5)
    machine.now_s, machine.used_s = 112.0, 16.0
    assert idle.mean() == 0
    machine.now_s, machine.used_s = 114.0, 20.1  # by ticks of a hundredth
    assert idle.mean() == 0
    assert idle.mean() == 2, "no time has passed"


def test_a_container_counts_what_it_may_use(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\n")
    assert read_cpu_usage(tmp_path) == CpuUsage(1.5, 2.5)


@pytest.mark.parametrize("limit", [None, "max 100000\n"], ids=["no cgroup", "no limit"])
def test_without_a_limit_the_machine_counts(tmp_path: Path, limit: str | None) -> None:
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit)
    before = read_cpu_usage(tmp_path)
    began_s = time.process_time()
    while time.process_time() < began_s + 0.05:
        pass
    after = read_cpu_usage(tmp_path)
    assert before.processors == after.processors == psutil.cpu_count()
    assert after.used_s > before.used_s
