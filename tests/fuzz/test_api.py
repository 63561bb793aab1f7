"""`make fuzz`: requests made up from every OpenAPI document and every contract, on both kinds of stores.

Each is answered below 500 in time, and its refusal is short. A part of it is in the suite:
tests/unit/deployments/http/test_fuzz.py.
"""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from features.config import BUILT_IN, known_workloads
from tests.support.databases import Databases, one_of
from tests.support.fuzzing import fuzz, fuzz_examples, fuzzed_system

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(3600)]

EXAMPLES = 50
CHANGED_EXAMPLES = 150
# hypothesis keeps what it has tried, a few megabytes
MOST_GROWTH_BYTES = 200 << 20


@pytest.mark.parametrize("workload", known_workloads(BUILT_IN))
def test_every_request_is_answered(workload: str, databases: Databases, tmp_path: Path) -> None:
    process = psutil.Process()
    with one_of(databases) as url, fuzzed_system(workload, url, tmp_path) as system:
        before_bytes = process.memory_info().rss
        sent = fuzz(system, EXAMPLES) + fuzz_examples(system, CHANGED_EXAMPLES)
        grown_bytes = process.memory_info().rss - before_bytes
    print(f"{workload} on {databases.kind}: {sent:,} requests")  # noqa: T201 - the number is the result
    assert sent > 2000
    assert grown_bytes < MOST_GROWTH_BYTES
