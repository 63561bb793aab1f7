"""The pure parts of the benchmark, and one start of a small server."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import typer

from features.config import load_contract
from scripts.benchmarks.bench import wrk
from scripts.benchmarks.bench.__main__ import bench
from scripts.benchmarks.bench.contender import CONTENDERS, Contender, Launch, Site
from scripts.benchmarks.bench.measure import ContenderFailed, Measured, Round, medians
from scripts.benchmarks.bench.models import FOLDER, BenchmarkRows
from scripts.benchmarks.bench.page import MARKS, Circumstances, measured_part, page_with, tables
from scripts.benchmarks.bench.run import Plan, run
from scripts.benchmarks.bench.server import CannotServe, Server
from scripts.benchmarks.bench.table import NAMES, friedman, instances, make_source
from scripts.benchmarks.bench.usage import cpu_spent_s
from scripts.benchmarks.bench.wrk import Load, Target
from scripts.launcher.preflight import free_port
from training.runtime.settings import REPOSITORY
from training.sources.base import no_progress, serial_map

RESULT = (
    'bench-result {"requests":5200,"duration_us":2000000,"p50_us":6010,"p95_us":8600,"p99_us":12100,'
    '"refused":200,"connect":1,"read":2,"write":3,"timeout":4}'
)
SMALL_SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        row = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"sum": sum(row)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def load(rate: float, errors: int = 0, answered: int = 1000) -> Load:
    return Load(answered, rate, rate / 100, rate / 50, rate / 10, errors)


def measured(contender: str, connections: int, rate: float, arm: str = "linear") -> Measured:
    rounds = [Round(load(rate), cpu_s=0.5, memory_bytes=250_000_000)]
    return medians(contender, arm, connections, rounds)


def test_a_result_is_read_from_what_wrk_prints() -> None:
    printed = f"Running 2s test @ http://127.0.0.1:8310\n  1 threads\n{RESULT}\n"
    assert wrk.parse(printed) == Load(
        answered=5000, rate=2500.0, p50_ms=6.01, p95_ms=8.6, p99_ms=12.1, errors=210
    )


def test_wrk_without_a_result_says_why() -> None:
    with pytest.raises(wrk.WrkFailed, match="wrk gave no result: unable to connect"):
        wrk.parse("", "unable to connect\n")
    with pytest.raises(wrk.WrkFailed, match="it said nothing"):
        wrk.parse("")


def test_a_missing_wrk_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(wrk.WrkMissing, match="apt-get install wrk"):
        wrk.require_wrk()


def test_the_script_holds_path_headers_and_bodies() -> None:
    script = wrk.lua_script(Target(1, "/a/predict", {"Authorization": "Bearer k"}, ['{"x": [1]}', "two"]))
    assert '{[==[{"x": [1]}]==], [==[two]==]}' in script
    # without the space Lua would read a long text of its own
    assert "{[ [==[Authorization]==] ] = [==[Bearer k]==]}" in script
    assert 'wrk.format("POST", "/a/predict", headers, body)' in script
    with pytest.raises(ValueError, match="expected a text without"):
        wrk.lua_script(Target(1, "/", {}, ["]==]"]))


def test_every_number_has_a_median_of_its_own_and_errors_add_up() -> None:
    rounds = [
        Round(load(300, errors=1), cpu_s=3.0, memory_bytes=10),
        Round(load(100, errors=0), cpu_s=1.0, memory_bytes=30),
        Round(load(200, errors=5), cpu_s=9.0, memory_bytes=20),
    ]
    found = medians("fastapi", "mlp", 64, rounds)
    assert (found.rate, found.p50_ms, found.p95_ms, found.p99_ms) == (200, 2, 4, 20)
    assert (found.errors, found.cpu_s_per_1000, found.memory_bytes) == (6, 3.0, 20)
    with pytest.raises(ValueError, match="expected at least 1"):
        medians("fastapi", "mlp", 64, [])


def test_a_round_without_an_answer_costs_infinitely_much() -> None:
    assert Round(load(0, answered=0), cpu_s=1.0, memory_bytes=1).cpu_s_per_1000 == float("inf")


def test_processor_time_counts_new_processes_whole() -> None:
    one, two = psutil.Process(), psutil.Process(psutil.Process().ppid())
    assert cpu_spent_s({one: 2.0}, {one: 3.5, two: 0.25}) == 1.75


def test_the_tables_show_rates_at_a_glance_and_everything_by_arm() -> None:
    found = [measured("fastapi", 16, 1200), measured("fastapi", 64, 2500), measured("mlflow", 64, 900)]
    glance, linear, mlp = tables([*found, measured("mlflow", 64, 800, "mlp")], ["linear", "mlp"])
    assert glance.title == "Requests/s at 64 connections"
    assert glance.rows == (("fastapi", "2,500", ""), ("mlflow", "900", "800"))
    assert linear.rows[0] == ("fastapi", "16", "1,200", "12.0", "24.0", "120", "0", "0.50", "250")
    assert len(linear.rows) == 3
    assert len(mlp.rows) == 1


def test_a_page_keeps_what_people_wrote_around_the_measured_part() -> None:
    around = Circumstances("make bench", "1 May 2026", "a machine", ["wrk 4.1"], 3, 10)
    failed = [ContenderFailed("mlflow", "linear", "it ended with 1")]
    part = measured_part(around, CONTENDERS, [measured("fastapi", 64, 2500)], failed, ["linear"])
    assert "medians of 3 rounds of 10 s, after" in " ".join(part.split())
    part = measured_part(replace(around, rounds=1, starts=3), CONTENDERS, [], failed, ["linear"])
    assert "medians of 3 rounds of 10 s in 3 starts, after" in " ".join(part.split())
    assert "- mlflow, linear: it ended with 1" in part
    assert "- **naive**:" in part
    new = page_with("", part)
    assert new.startswith(f"# Benchmarks\n\n{MARKS.begin}\n")
    edited = new.replace("# Benchmarks", "# Benchmarks\n\nOurs.") + "\nWhat bounds it.\n"
    again = page_with(edited, "another part")
    begin, end = MARKS.begin, MARKS.end
    assert again == f"# Benchmarks\n\nOurs.\n\n{begin}\n\nanother part\n\n{end}\n\nWhat bounds it.\n"
    assert page_with("# Mine\n", "p") == f"# Mine\n\n{begin}\n\np\n\n{end}\n"


def test_friedman_as_published() -> None:
    x = np.zeros((2, 16))
    x[1, :5] = (0.5, 1.0, 1.0, 0.5, 0.2)
    assert friedman(x) == pytest.approx([5.0, 10 + 5 + 5 + 1])


def test_the_source_has_what_its_contract_asks_for() -> None:
    contract = load_contract(FOLDER, "bench")
    assert contract.field_names == NAMES
    table = make_source(contract, rows=50, seed=7).records(serial_map, no_progress)
    assert set(table.columns) == {*NAMES, "row", "y"}
    residue = table["y"].to_numpy() - friedman(table[list(NAMES)].to_numpy())
    assert 0.7 < residue.std() < 1.3


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda c: c.name)
def test_every_contender_is_sent_the_whole_row(contender: Contender) -> None:
    row = instances(1, seed=1)[0].tolist()
    sent = json.loads(contender.bodies([row])[0])
    numbers = sent.get("rows") or sent.get("inputs") or [[sent.get(name) for name in NAMES]]
    assert numbers == [row]


def test_answers_are_understood() -> None:
    answers = {
        "raysonde-fast": {"prediction": {"y": 1.5}},
        "raysonde-plain": {"prediction": {"y": 1.5}},
        "bentoml": [1.5],
        "mlflow": {"predictions": [1.5]},
    }
    for contender in CONTENDERS:
        assert contender.answer(answers.get(contender.name, {"prediction": 1.5})) == 1.5


def test_every_package_of_the_contenders_is_pinned() -> None:
    lines = (REPOSITORY / "scripts" / "benchmarks" / "bench" / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
    names = {name.split("[")[0].split(">")[0].split("<")[0] for name in groups["bench"]}
    assert names <= pinned


def small(command: Sequence[str]) -> Contender:
    return Contender(
        name="small",
        about="",
        package="",
        launch=lambda site: Launch([sys.executable, *command, str(site.port)]),
        path="/predict",
        body=list,
        answer=lambda answer: float(answer["sum"]),
    )


def site_in(folder: Path) -> Site:
    return Site("linear", folder, folder, free_port(8310), Path(sys.executable), folder)


def test_a_server_is_ready_when_it_answers_and_gone_at_the_end(tmp_path: Path) -> None:
    rows = BenchmarkRows(rows=((1.0, 2.0), (3.0, 4.0)), expected=(3.0, 7.0))
    with Server(small(["-c", SMALL_SERVER]), site_in(tmp_path), rows) as server:
        (process,) = server.tree.alive()
        assert server.tree.memory_bytes() > 1_000_000
        assert server.tree.cpu_times()[process] >= 0
    assert not process.is_running()


def test_another_model_is_refused_and_its_server_ended(tmp_path: Path) -> None:
    rows = BenchmarkRows(rows=((1.0, 2.0),), expected=(4.0,))
    server = Server(small(["-c", SMALL_SERVER]), site_in(tmp_path), rows)
    with pytest.raises(CannotServe, match="another model: got 3, expected 4"), server:
        pass
    assert server.tree.alive() == []


def test_a_server_that_ends_says_its_last_line(tmp_path: Path) -> None:
    rows = BenchmarkRows(rows=((1.0,),), expected=(1.0,))
    server = Server(small(["-c", "raise SystemExit('no bread')"]), site_in(tmp_path), rows)
    with pytest.raises(CannotServe, match="it ended with 1: no bread"), server:
        pass


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk, which makes the load, is not installed")
def test_a_run_measures_what_it_can_and_notes_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.benchmarks.bench.run._SETTLE_S", 1)
    rows = BenchmarkRows(rows=((1.0, 2.0), (3.0, 4.0)), expected=(3.0, 7.0))
    broken = replace(small(["-c", "raise SystemExit('no bread')"]), name="broken")
    plan = Plan([broken, small(["-c", SMALL_SERVER])], ["linear"], [1], 1, 1, tmp_path, tmp_path, 1)
    (plan.models / "linear").mkdir(parents=True)
    (plan.models / "linear" / "asked.json").write_text(rows.model_dump_json())
    shown = []
    results = run(plan, lambda what, done: shown.append((what, done)))
    (failure,), (found,) = results.failed, results.measured
    assert (failure.contender, failure.why.startswith("it ended with 1: no bread")) == ("broken", True)
    assert (found.contender, found.connections, found.errors) == ("small", 1, 0)
    assert found.rate > 1
    assert 0 < found.p50_ms <= found.p95_ms <= found.p99_ms
    assert found.cpu_s_per_1000 > 0
    assert [what for what, _ in shown].count("small, linear: starting") == 1
    assert [what for what, _ in shown].count("broken, linear: starting") == 1
    assert shown[-1] == ("small, linear: stopping", plan.steps)


def test_an_unknown_contender_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        bench(contenders="fastapi,flask")
    assert ended.value.exit_code == 1
    assert "got flask, expected some of: raysonde-fast" in capsys.readouterr().out
