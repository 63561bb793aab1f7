"""What the measurement of batches and windows asks, and what it makes of the answers."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer

import orjson
import pytest

from deployments.requests.parser import InstanceParser
from deployments.runtime.process_memory import relax_gc
from features.config import BUILT_IN, load_contract
from scripts.benchmarks.throughput.__main__ import Batches, run_batches
from scripts.benchmarks.throughput.answers import request_bodies, window_instances
from scripts.replay.client import Connection


class Handler(BaseHTTPRequestHandler):
    """Answers whole, but for bodies that ask for less."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = b'{"predictions":[{}]}' if body == b"whole" else b'{"predictions":[{}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def place() -> Iterator[Connection]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Connection(f"http://127.0.0.1:{server.server_port}", "key")
    server.shutdown()
    thread.join()
    server.server_close()


def test_rows_are_the_contracts_and_carry_no_id() -> None:
    contract = load_contract(BUILT_IN, "calories")
    parser = InstanceParser(contract)
    for body in request_bodies(contract.example, 20):
        assert len(list(parser.parse_batch(body))) == 20
        assert all("id" not in row for row in orjson.loads(body)["instances"])


def test_windows_have_a_sample_a_step_with_four_fields() -> None:
    contract = load_contract(BUILT_IN, "apogee")
    found = window_instances(contract)
    assert len({instance["flight_id"] for instance in found}) == len(found)
    for instance in found:
        assert {len(sample) for sample in instance["samples"]} == {4}
        assert len(instance["samples"]) == 50
        assert InstanceParser(contract).parse_instance(orjson.dumps(instance)).raw.shape == contract.raw_shape


def test_the_rate_is_that_of_all_batches() -> None:
    assert Batches(1000, whole_s=[0.5, 1.5], first_s=[0.1, 0.2]).rate == 1000


def test_batches_are_sent_one_after_the_other(place: Connection) -> None:
    got = run_batches(place, "calories", 1, [b"whole"], duration_s=0.05)
    assert len(got.whole_s) == len(got.first_s) >= 1
    assert all(first <= whole for first, whole in zip(got.first_s, got.whole_s, strict=True))


def test_an_answer_that_is_cut_short_is_no_answer(place: Connection) -> None:
    with pytest.raises(HTTPException, match="status 200"):
        run_batches(place, "calories", 1, [b"short"], duration_s=10)


def test_garbage_is_searched_for_less_often_in_a_router() -> None:
    before = gc.get_threshold()
    try:
        relax_gc()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
