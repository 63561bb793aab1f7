import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.domain.errors import Overloaded
from deployments.runtime.batching import Coalescer
from tests.support.clocks import SecondsClock


class Downstream:
    """Answers twice the row when it is let to; keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[int]]] = []
        self.gates: list[asyncio.Future[None]] = []

    async def __call__(self, key: str, rows: list[int]) -> Sequence[int]:
        self.calls.append((key, rows))
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        return [2 * row for row in rows]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def submit(coalescer: Coalescer[str, int, int], *rows: int, key: str = "mlp") -> list[asyncio.Task[int]]:
    return [asyncio.create_task(coalescer.submit(key, row)) for row in rows]


async def test_an_idle_key_sends_at_once_and_the_rest_goes_together() -> None:
    down = Downstream()
    coalescer = Coalescer(down, max_in_flight=1)
    first = submit(coalescer, 1)
    await settle()
    assert down.calls == [("mlp", [1])]
    rest = submit(coalescer, 2, 3, 4)
    await settle()
    assert len(down.calls) == 1
    assert coalescer.waiting("mlp") == 3
    down.gates[0].set_result(None)
    await settle()
    assert down.calls[1:] == [("mlp", [2, 3, 4])]
    down.gates[1].set_result(None)
    assert await asyncio.gather(*first, *rest) == [2, 4, 6, 8]


async def test_what_comes_in_one_turn_of_the_loop_is_one_call() -> None:
    down = Downstream()
    coalescer = Coalescer(down, max_in_flight=4)
    tasks = submit(coalescer, 1, 2, 3)
    await settle()
    assert down.calls == [("mlp", [1, 2, 3])]
    down.gates[0].set_result(None)
    await asyncio.gather(*tasks)


async def test_batches_are_capped_and_keys_do_not_wait_for_each_other() -> None:
    down = Downstream()
    coalescer = Coalescer(down, max_in_flight=1, max_batch=2)
    tasks = submit(coalescer, 1, 2, 3) + submit(coalescer, 9, key="linear")
    await settle()
    assert down.calls == [("mlp", [1, 2]), ("linear", [9])]
    for gate in down.gates:
        gate.set_result(None)
    await settle()
    assert down.calls[2:] == [("mlp", [3])]
    down.gates[2].set_result(None)
    assert await asyncio.gather(*tasks) == [2, 4, 6, 18]


async def test_a_failure_is_that_of_its_batch_alone() -> None:
    down = Downstream()
    coalescer = Coalescer(down, max_in_flight=1, max_batch=2)
    tasks = submit(coalescer, 1, 2, 3)
    await settle()
    down.gates[0].set_exception(ConnectionError("gone"))
    await settle()
    down.gates[1].set_result(None)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(r) for r in results] == [ConnectionError, ConnectionError, int]


async def test_a_caller_that_leaves_the_queue_is_not_sent() -> None:
    down = Downstream()
    coalescer = Coalescer(down, max_in_flight=1)
    first = submit(coalescer, 1)
    await settle()
    tasks = submit(coalescer, 2, 3)
    await settle()
    tasks[0].cancel()
    await settle()
    assert (coalescer.waiting("mlp"), coalescer.waiting("never asked")) == (1, 0)
    down.gates[0].set_result(None)
    await settle()
    assert down.calls[1] == ("mlp", [3])
    down.gates[1].set_result(None)
    assert await asyncio.gather(*first, tasks[1]) == [2, 6]


async def test_a_caller_that_leaves_under_way_does_not_disturb_the_others() -> None:
    down = Downstream()
    coalescer = Coalescer(down)
    tasks = submit(coalescer, 1, 2, 3)
    await settle()
    tasks[1].cancel()
    await settle()
    down.gates[0].set_result(None)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert (results[0], results[2]) == (2, 6)
    assert isinstance(results[1], asyncio.CancelledError)


async def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    down = Downstream()
    coalescer = Coalescer(down, max_in_flight=1, max_waiting=2, retry_after_s=3)
    tasks = submit(coalescer, 1)
    await settle()
    tasks += submit(coalescer, 2, 3)
    await settle()
    with pytest.raises(Overloaded, match="2 requests wait already") as caught:
        await coalescer.submit("mlp", 4)
    assert caught.value.retry_after_s == 3
    down.gates[0].set_result(None)
    await settle()
    down.gates[1].set_result(None)
    assert await asyncio.gather(*tasks) == [2, 4, 6]


async def test_what_has_waited_too_long_for_others_is_refused() -> None:
    down, clock = Downstream(), SecondsClock()
    coalescer = Coalescer(down, max_in_flight=1, max_batch=1, retry_after_s=3, clock=clock)
    tasks = submit(coalescer, 1, 2)
    await settle()
    old = asyncio.create_task(coalescer.submit("mlp", 3, patience_s=1))
    await settle()
    clock.now_s = 0.5
    young = asyncio.create_task(coalescer.submit("mlp", 4, patience_s=1))
    await settle()
    down.gates[0].set_result(None)
    await settle()
    clock.now_s = 1.2
    down.gates[1].set_result(None)
    await settle()
    with pytest.raises(Overloaded, match="more requests come") as caught:
        await old
    assert caught.value.retry_after_s == 3
    assert down.calls == [("mlp", [1]), ("mlp", [2]), ("mlp", [4])]
    down.gates[2].set_result(None)
    assert await asyncio.gather(*tasks, young) == [2, 4, 8]


async def test_what_waited_for_a_call_that_took_long_goes_with_the_next() -> None:
    down, clock = Downstream(), SecondsClock()
    coalescer = Coalescer(down, max_in_flight=1, clock=clock)
    tasks = submit(coalescer, 1)
    await settle()
    tasks += [asyncio.create_task(coalescer.submit("mlp", row, patience_s=1)) for row in (2, 3)]
    await settle()
    clock.now_s = 1.2
    down.gates[0].set_result(None)
    await settle()
    assert down.calls[1:] == [("mlp", [2, 3])]
    down.gates[1].set_result(None)
    assert await asyncio.gather(*tasks) == [2, 4, 6]


async def test_nothing_is_refused_for_waiting_while_nothing_is_answered() -> None:
    down, clock = Downstream(), SecondsClock()
    coalescer = Coalescer(down, max_in_flight=1, clock=clock)
    first = submit(coalescer, 1)
    await settle()
    waiting = asyncio.create_task(coalescer.submit("mlp", 2, patience_s=1))
    await settle()
    clock.now_s = 5
    down.gates[0].set_exception(ConnectionError("gone"))
    await settle()
    assert down.calls[1:] == [("mlp", [2])]
    down.gates[1].set_result(None)
    assert await waiting == 4
    with pytest.raises(ConnectionError):
        await first[0]


async def test_a_downstream_that_answers_the_wrong_number_of_rows_fails() -> None:
    async def short(key: str, rows: list[int]) -> list[int]:
        return []

    with pytest.raises(RuntimeError, match="'mlp': got 0 results for 1 rows"):
        await Coalescer(short).submit("mlp", 1)


async def test_idle_keys_are_forgotten() -> None:
    async def echo(key: str, rows: list[int]) -> list[int]:
        return rows

    coalescer = Coalescer(echo)
    for version in range(10):
        await coalescer.submit(f"version {version}", 1)
    await settle()
    assert coalescer.all_waiting() == {}


Step = st.tuples(st.sampled_from(["submit", "release", "fail", "cancel", "turn"]), st.integers(0, 9))


@given(st.lists(Step, max_size=60), st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_everyone_gets_the_answer_to_their_own_row(
    steps: list[tuple[str, int]], max_in_flight: int, max_batch: int
) -> None:
    asyncio.run(_play(steps, max_in_flight, max_batch))


async def _play(steps: list[tuple[str, int]], max_in_flight: int, max_batch: int) -> None:
    down = Downstream()
    coalescer = Coalescer(down, max_in_flight=max_in_flight, max_batch=max_batch)
    tasks: dict[int, asyncio.Task[int]] = {}
    cancelled: set[int] = set()
    failed: set[int] = set()

    def end(index: int, error: Exception | None) -> None:
        gate = down.gates[index]
        if gate.done():
            return
        if error:
            failed.update(down.calls[index][1])
            gate.set_exception(error)
        else:
            gate.set_result(None)

    for action, number in steps:
        if action == "submit":
            row = len(tasks)
            tasks[row] = asyncio.create_task(coalescer.submit(f"key {number % 2}", row))
        elif action in ("release", "fail") and down.gates:
            end(number % len(down.gates), ConnectionError("gone") if action == "fail" else None)
        elif action == "cancel" and tasks:
            victim = number % len(tasks)
            if tasks[victim].cancel():
                cancelled.add(victim)
        elif action == "turn":
            await settle()
        open_calls = [key for (key, _), gate in zip(down.calls, down.gates, strict=True) if not gate.done()]
        assert all(open_calls.count(key) <= max_in_flight for key in open_calls)
    while not all(task.done() for task in tasks.values()):
        await settle()
        for index in range(len(down.gates)):
            end(index, None)
    for row, task in tasks.items():
        if row in cancelled:
            assert task.cancelled()
        elif row in failed:
            assert isinstance(task.exception(), ConnectionError)
        else:
            assert task.result() == 2 * row
    assert all(len(rows) <= max_batch for _, rows in down.calls)
    sent = [row for _, rows in down.calls for row in rows]
    assert len(sent) == len(set(sent))


async def test_callers_of_a_call_that_is_cancelled_are_not_left_waiting() -> None:
    calls: list[asyncio.Task[object] | None] = []

    async def down(key: str, rows: list[int]) -> Sequence[int]:
        calls.append(asyncio.current_task())
        await asyncio.Event().wait()
        return rows

    coalescer = Coalescer(down)
    callers = submit(coalescer, 1, 2)
    await settle()
    (call,) = calls
    assert call is not None
    call.cancel()
    await settle()
    assert [caller.cancelled() for caller in callers] == [True, True]
    assert coalescer.all_waiting() == {}
