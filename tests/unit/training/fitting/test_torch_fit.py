"""What the torch families share: a fit goes on where it was stopped, and workers do what one process does."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support.params import suggested
from tests.support.skips import NO_GPU
from training.families.base import load_family, resumable
from training.fitting.data import Split
from training.fitting.runs import Alone, Run
from training.fitting.torch_fit import _BatchLoss
from training.fitting.torch_state import FitState
from training.runtime.tasks.base import Kind

FAMILIES = ("mlp", "gru", "lstm")
KINDS: tuple[Kind, ...] = ("numbers", "classes")


def split(rows: int, seed: int, kind: Kind) -> Split:
    """Two outputs; of the numbers the second is often unknown. Weights differ much."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3, 2)).astype(np.float32)
    y = x[:, 0] + x[:, 2]
    if kind == "classes":
        y = np.eye(2, dtype=np.float32)[(y[:, 0] > 0).astype(int)]
    else:
        y[rng.random(rows) < 0.4, 1] = np.nan
    return Split(x, y, rng.uniform(0.1, 1.9, rows).astype(np.float32), kind)


def params_of(name: str, **changes: Any) -> dict[str, Any]:
    return suggested(load_family(name)) | {"epochs": 6, "batch_size": 65, "device": "cpu"} | changes


class Fit:
    """One fit, with all that it told."""

    def __init__(self, name: str, kind: Kind, saved: bytes | None = None, **changes: Any) -> None:
        self.states: list[bytes] = []
        self.reports: list[tuple[int, float]] = []
        family = resumable(load_family(name))
        assert family is not None
        self.fitted = family.fit(
            params_of(name, **changes),
            split(400, 0, kind),
            split(150, 1, kind),
            3,
            lambda *report: self.reports.append(report),
            Run(saved, self.states.append),
        )

    def outputs(self) -> NDArray[np.float32]:
        return self.fitted.predict(split(80, 2, "numbers").x)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_goes_on_ends_as_if_it_had_not_stopped(name: str, kind: Kind) -> None:
    whole = Fit(name, kind)
    assert [step for step, _ in whole.reports] == [1, 2, 3, 4, 5, 6]
    for done in (1, 4, 6):
        rest = Fit(name, kind, whole.states[done - 1])
        assert rest.reports == whole.reports[done:]
        assert rest.states == whole.states[done:]
        np.testing.assert_array_equal(rest.outputs(), whole.outputs())


@pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_GPU)
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_gpu_and_cpu_agree(name: str, kind: Kind) -> None:
    on_cpu, on_gpu = (Fit(name, kind, device=device).outputs() for device in ("cpu", "auto"))
    assert np.abs(on_cpu - on_gpu).mean() < 0.1 * on_cpu.std()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_takes_a_gpu_that_is_there(name: str) -> None:
    family = load_family(name)
    assert suggested(family)["device"] == "auto"
    assert getattr(family, "uses_gpu", False)


def test_one_that_had_stopped_early_does_not_learn_on() -> None:
    whole = Fit("lstm", "classes", epochs=80, learning_rate=0.05)
    assert len(whole.reports) < 80
    best = min(range(len(whole.reports)), key=lambda step: whole.reports[step][1])
    assert best < len(whole.reports) - 1
    rest = Fit("lstm", "classes", whole.states[-1], epochs=80, learning_rate=0.05)
    assert rest.reports == []
    np.testing.assert_array_equal(rest.outputs(), whole.outputs())


def test_a_state_is_plain_data() -> None:
    """A pickle that runs code is refused."""
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=4)
    state = FitState(network, optimizer, schedule, torch.Generator())
    with pytest.raises(Exception, match="Weights only load failed"):
        state.load(b"cos\nsystem\n(S'true'\ntR.")


class Share(Alone):
    """One of several workers, without the others."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [2, 3])
def test_the_gradients_of_the_shares_have_the_mean_of_the_whole(kind: Kind, workers: int) -> None:
    """Although the shares differ in rows, in the sum of their weights and in what is known."""
    train = split(60, 0, kind)
    network = load_network(train)
    rows = torch.arange(5, 36)

    def gradient(number: int, count: int) -> torch.Tensor:
        network.zero_grad()
        run = Run(peers=Share(number, count))
        _BatchLoss(network, train, {"huber_delta": 1.0}, 31, None, run).of(rows).backward()
        return torch.cat([parameter.grad.flatten() for parameter in network.parameters()])

    whole = gradient(0, 1)
    shares = torch.stack([gradient(number, workers) for number in range(workers)])
    assert whole.abs().max() > 1e-2
    assert (shares - whole).abs().max() > 1e-3
    torch.testing.assert_close(shares.mean(0), whole, rtol=1e-5, atol=1e-7)


def drawn(generator: torch.Generator, rows: int) -> torch.Tensor:
    return torch.rand((rows, 1), generator=generator)


def load_network(train: Split) -> Any:
    from training.families.gru import _Network

    torch.manual_seed(0)
    return _Network(np.arange(train.x.shape[-1]), train.y.shape[1], 4)


def test_the_noise_of_a_row_is_the_same_for_any_number_of_workers() -> None:
    """Dropout is drawn for the whole batch, and each worker takes its rows of it."""
    train = split(12, 0, "numbers")
    seen: dict[tuple[int, int], list[float]] = {}

    class Echo(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
            seen[where] = noise[:, 0].tolist()
            return (x.sum(dim=(1, 2)) * self.scale)[None, :, None].expand(1, len(x), 2)

    for where in ((0, 1), (0, 2), (1, 2)):
        generator = torch.Generator().manual_seed(1)
        loss = _BatchLoss(
            Echo(),
            train,
            {"huber_delta": 1.0},
            7,
            partial(drawn, generator),
            Run(peers=Share(*where)),
        )
        loss.of(torch.arange(7))
    assert seen[(0, 2)] == seen[(0, 1)][::2]
    assert seen[(1, 2)] == seen[(0, 1)][1::2]
