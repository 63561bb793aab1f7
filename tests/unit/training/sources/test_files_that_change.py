"""Records of a file are those of its present content, for every source that reads one."""

import os
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path

import pandas as pd
import pytest

from features.config import load_contract
from features.contract import Contract
from features.locations import configs
from training import sources
from training.sources.base import cached_records, load_source, no_progress, serial_map


def _readers() -> list[str]:
    names = [f"training.sources.{one.name}" for one in pkgutil.iter_modules(sources.__path__)]
    makers = {name: getattr(import_module(name), "make_source", None) for name in names}
    return [name for name, make in makers.items() if make and "path" in signature(make).parameters]


def _replace(path: Path, content: bytes) -> None:
    """Change a file so that only its content tells."""
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.mark.parametrize("module", _readers())
def test_the_revision_is_that_of_the_content(module: str, apogee: Contract, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    source = load_source(apogee, {"module": module, "path": str(path)})
    with pytest.raises(FileNotFoundError):
        _ = source.revision
    found = []
    for content in (b"a,1\n", b"a,2\n", b"a,1\n"):
        _replace(path, content)
        found.append(source.revision)
    assert found[0] == found[2] != found[1]


_ROWS: Mapping[str, tuple[str, str]] = {
    "weather": (
        "training.sources.weather",
        "station,time_s,temperature_c,windspeed_mps\nEWR,0,{0}.0,3.0\nEWR,3600,{0}.5,3.0\nEWR,7200,9.0,3.0\n",
    ),
    "apogee": (
        "training.sources.recorded",
        "flight_id,time_s,altitude_agl_m\n" + "".join(f"F1,{n / 10},{{0}}{n}.0\n" for n in range(20)),
    ),
}


@pytest.mark.parametrize("workload", _ROWS)
def test_a_changed_file_is_read_again(workload: str, tmp_path: Path) -> None:
    module, text = _ROWS[workload]
    contract = load_contract(configs() / "workloads", workload)
    path = tmp_path / "data.csv"
    options = {"module": module, "path": str(path)}

    def read(content: str) -> pd.DataFrame:
        _replace(path, content.encode())
        return cached_records(contract, options, tmp_path / "cache", serial_map, no_progress)

    first, second, again = (read(text.format(number)) for number in (1, 2, 1))
    assert not first.equals(second)
    pd.testing.assert_frame_equal(first, again)
    assert len(list((tmp_path / "cache").iterdir())) == 2
