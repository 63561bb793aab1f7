"""The running system over real HTTP: what a user sees."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from deployments.domain.routing import ArmVersion
from deployments.requests.parser import InstanceParser
from deployments.store import Store
from scripts.host.processes import of_run
from scripts.launcher.run_state import RunState
from tests.support.models import apogee_contract
from tests.support.system import ARMS, RunningSystem, bodies, wait_until
from training.runtime.bundle import read_bundle
from training.runtime.inference import load_model

pytestmark = pytest.mark.integration
CONTRACT = apogee_contract()
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIBRARIES = ("onnxruntime", "pandas", "scipy", "sklearn", "torch")


@pytest.mark.parametrize("arm", ARMS)
def test_http_equals_offline_for_every_window(system: RunningSystem, arm: str) -> None:
    champion = system.champions[arm]
    model = load_model(read_bundle(Path(champion.source), champion.bundle, CONTRACT))
    parser = InstanceParser(CONTRACT)
    with system.client() as client:
        level = client.get("/info").json()["arms"][arm]["level"]
        for body in bodies(flight=7):
            answer = client.post("/predict", json=body, headers={"Raysonde-Arm": arm}).json()
            raw = parser.parse_instance(json.dumps(body).encode()).raw
            offline = model.predict(raw[np.newaxis], level)
            assert answer["bundle"] == champion.bundle
            assert answer["prediction"]["apogee_m"] == pytest.approx(offline["prediction"][0], rel=1e-5)
            expected = [offline["lower"][0], offline["upper"][0]]
            assert answer["interval"]["apogee_m"] == pytest.approx(expected, rel=1e-5)


def test_batches_and_single_requests_agree(system: RunningSystem) -> None:
    many = bodies(flight=8)
    with system.client() as client:
        batch = client.post("/batch_predict", json={"instances": many}).json()["predictions"]
        for body, answer in zip(many, batch, strict=True):
            alone = client.post("/predict", json=body).json()
            assert alone["arm"] == answer["arm"]
            assert alone["prediction"]["apogee_m"] == pytest.approx(
                answer["prediction"]["apogee_m"], rel=1e-6
            )


def test_truth_is_durable_before_the_answer_and_joined(system: RunningSystem) -> None:
    (body,) = bodies(flight=9)[:1]
    with system.client() as client:
        early = client.post("/feedback", json={"id": "early-bird", "truth": {"apogee_m": 1000.0}})
        assert early.json() == {"accepted": 0, "duplicate": 0, "unmatched": 1, "conflicting": 0}
        client.post("/predict", json=body | {"id": "early-bird"})
        id_ = client.post("/predict", json=body).json()["id"]
        sent = client.post("/feedback", json={"id": id_, "truth": {"apogee_m": 1000.0}})
        assert (sent.status_code, sent.json()["accepted"]) == (202, 1)
        again = client.post("/feedback", json={"id": id_, "truth": {"apogee_m": 999.0}})
        assert again.json()["duplicate"] == 1
    database = sqlite3.connect(system.settings.var / "store.db")
    found = database.execute("SELECT id FROM joins WHERE id IN (?, 'early-bird')", (id_,)).fetchall()
    assert {row[0] for row in found} == {id_, "early-bird"}
    assert database.execute("SELECT conflicts FROM repeated_truths WHERE id = ?", (id_,)).fetchone() == (1,)
    database.close()


def test_a_known_input_is_answered_from_the_cache_and_journalled_so(system: RunningSystem) -> None:
    (body,) = bodies(flight=11)[:1]
    with system.client() as client:
        policy = client.get("/traffic").json()["policy"]
        try:
            client.put("/traffic", json=policy | {"cache": {"max_entries": 10}}).raise_for_status()
            answers = [client.post("/predict", json=body).json() for _ in range(2)]
            arm = client.get("/info").json()["arms"][answers[0]["arm"]]
        finally:
            client.put("/traffic", json=policy).raise_for_status()
        # a truth is written after the predictions that were answered before it
        client.post("/feedback", json={"id": answers[1]["id"], "truth": {"apogee_m": 1000.0}})
    ids = [answer.pop("id") for answer in answers]
    assert answers[0] == answers[1]
    assert (arm["cache_hits"], arm["cache_misses"]) == (1, 1)
    with closing(sqlite3.connect(system.settings.var / "store.db")) as database:
        found = dict(database.execute("SELECT id, cached FROM predictions WHERE id IN (?, ?)", ids))
    assert [found[id_] for id_ in ids] == [0, 1]


def test_a_shadow_is_asked_what_its_arm_has_answered(system: RunningSystem) -> None:
    store = Store(f"sqlite:///{system.settings.var}/store.db")
    with system.client() as client:
        table = client.get("/traffic").json()
        served = ArmVersion.model_validate(table["arms"]["mlp"])
        # the bundle of another arm, which is not loaded here, stands in for a new version
        shadow = ArmVersion.model_validate(table["arms"]["random_forest"])
        store.put_shadows("apogee", {"mlp": shadow})
        try:
            client.put("/traffic", json=table["policy"] | {"weights": {"mlp": 1.0}}).raise_for_status()
            assert client.get("/info").json()["arms"]["mlp"]["shadow"]["bundle"] == shadow.bundle
            sent = bodies(flight=12)[:3]
            answers = [client.post("/predict", json=body).json() for body in sent]
            answers += client.post("/batch_predict", json={"instances": sent}).json()["predictions"]
            truths = [{"id": answer["id"], "truth": {"apogee_m": 1000.0}} for answer in answers]
            client.post("/feedback", json={"items": truths}).raise_for_status()
            arm = {"Raysonde-Arm": "random_forest"}
            expected = [client.post("/predict", json=body, headers=arm).json() for body in sent]
            pairs = partial(store.shadows.pairs, "apogee", "mlp", shadow.bundle, served.bundle, BEGIN)
            wait_until(lambda: len(pairs()) == 6, 20, "pairs of all answers")
        finally:
            store.put_shadows("apogee", {"mlp": None})
            client.put("/traffic", json=table["policy"]).raise_for_status()
    by_shadows = [pair.shadow.prediction["apogee_m"] for pair in pairs()]
    assert by_shadows == [pytest.approx(answer["prediction"]["apogee_m"]) for answer in expected * 2]
    assert [pair.served.prediction for pair in pairs()] == [answer["prediction"] for answer in answers]
    store.close()


def test_the_key(system: RunningSystem) -> None:
    url = f"{system.url}/apogee/info"
    assert httpx.get(url).status_code == 200
    assert httpx.get(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 401
    assert (
        httpx.get(url, headers={"Authorization": f"Bearer {system.key}", "Host": "evil.example"}).status_code
        == 200
    )
    assert system.settings.api_key_file.stat().st_mode & 0o777 == 0o600


def test_pages(system: RunningSystem) -> None:
    assert 'href="/apogee/docs"' in httpx.get(f"{system.url}/").text
    assert httpx.get(f"{system.url}/healthz").json() == {"status": "ready", "workloads": {"apogee": "ready"}}
    page = httpx.get(f"{system.url}/apogee/docs").text
    # all that the page loads comes from here: there may be no internet
    for path in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert httpx.get(f"{system.url}{path}").status_code == 200, path
    (path,) = re.findall(r"url: '([^']+openapi.json)'", page)
    text = httpx.get(f"{system.url}{path}").json()
    predict = text["paths"]["/predict"]["post"]
    example = predict["requestBody"]["content"]["application/json"]["example"]
    documented = predict["responses"]["200"]["content"]["application/json"]["example"]
    arm = {"Raysonde-Arm": documented["arm"]}
    answer = httpx.post(f"{system.url}{text['servers'][0]['url']}/predict", json=example, headers=arm)
    assert answer.json()["prediction"] == documented["prediction"]


def test_each_prediction_is_a_line_of_json_with_its_request(system: RunningSystem) -> None:
    with system.client() as client:
        answer = client.post("/predict", json=bodies(flight=3)[0]).json()

    def lines() -> list[dict[str, object]]:
        files = system.settings.logs.glob("apogee-router.*.jsonl")
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    wait_until(lambda: any(line.get("request_id") == answer["id"] for line in lines()), 10, "the log line")
    (line,) = [line for line in lines() if line.get("request_id") == answer["id"]]
    assert (line["workload"], line["arm"], line["model_version"]) == (
        "apogee",
        answer["arm"],
        answer["model_version"],
    )


def test_a_replica_carries_only_what_it_serves_with(system: RunningSystem) -> None:
    state = RunState.read(system.settings.var)
    assert state is not None
    replicas = {}
    for process in of_run(state.run_id):
        found = re.match(r"ray::ServeReplica:apogee:(\w+)", " ".join(process.cmdline()))
        if found:
            replicas[found[1]] = process
    assert set(replicas) == {"Router", "FeatureScaler", *ARMS}
    for name, process in replicas.items():
        mapped = {map_.path for map_ in process.memory_maps()}
        loaded = {library for library in LIBRARIES if any(f"/{library}/" in path for path in mapped)}
        assert loaded == ({"onnxruntime"} if name in ARMS else set()), name
        assert process.memory_full_info().uss < (170e6 if name == "Router" else 140e6), name
