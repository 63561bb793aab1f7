"""How far out instances lie: by themselves, and as answers tell it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract, make_parts
from tests.support.serving import POLICY, LocalSystem
from training.runtime.inference import ScalerRuntime
from training.runtime.outliers import OutlierScorer, Shape

CONTRACT = apogee_contract()
FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def cloud(rows: int, seed: int, width: int = 6) -> FloatArray:
    """Correlated columns, one of them constant, one with a heavy tail."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(width, width))
    found = generator.normal(size=(rows, width)) @ mixing
    found[:, 0] = 2.0
    found[:, 1] = generator.standard_t(3, rows)
    return found


SCORER = OutlierScorer(cloud(1000, 0))


def test_scores_of_rows_like_the_reference_are_uniform() -> None:
    scores = SCORER.score(cloud(1000, 1))
    # both samples are of 1,000, so a distance of 0.073 is the one that chance exceeds once in a hundred
    assert kstest(scores, "uniform").statistic < 0.073
    assert (scores == 1).mean() <= 0.005


def test_few_rows_of_many_columns_do_not_make_new_rows_outliers() -> None:
    """New rows lie farther from a fitted shape than the rows that it was fitted to."""
    generator = np.random.default_rng(2)
    mixing = generator.normal(size=(40, 40))
    reference, new = generator.normal(size=(120, 40)) @ mixing, generator.normal(size=(2000, 40)) @ mixing
    scores = OutlierScorer(reference).score(new)
    assert kstest(scores, "uniform").statistic < 0.15
    assert (scores == 1).mean() < 0.03


@pytest.mark.parametrize("amount", [50.0, 1e12, np.inf, -np.inf])
def test_a_row_far_away_is_farther_out_than_all(amount: float) -> None:
    far = cloud(5, 3)
    far[:, 2] += amount
    assert SCORER.score(far).tolist() == [1.0] * 5


def test_what_breaks_the_relation_of_columns_is_out_though_each_value_is_usual() -> None:
    generator = np.random.default_rng(4)
    first = generator.normal(size=(1000, 1))
    reference = np.concatenate([first, first + 0.01 * generator.normal(size=(1000, 1))], axis=1)
    scorer = OutlierScorer(reference)
    assert scorer.score(np.array([[1.0, 1.0], [1.0, -1.0]])).tolist() == [pytest.approx(0.6, abs=0.15), 1.0]


@given(st.integers(0, 10_000), st.floats(0.1, 50), st.floats(0, 50))
def test_going_away_from_the_middle_never_lowers_the_score(seed: int, near: float, further: float) -> None:
    middle = cloud(1000, 0).mean(axis=0)
    direction = np.random.default_rng(seed).normal(size=6)
    scores = SCORER.score(np.stack([middle + near * direction, middle + (near + further) * direction]))
    assert scores[0] <= scores[1]


def test_a_value_that_is_not_known_says_nothing() -> None:
    rows = cloud(3, 5)
    middle = rows.copy()
    rows[:, 3], middle[:, 3] = np.nan, cloud(1000, 0)[:, 3].mean()
    np.testing.assert_allclose(SCORER.score(rows), SCORER.score(middle), atol=0.002)


def test_a_column_that_never_varied_counts_as_scaling_takes_it() -> None:
    row = cloud(1000, 0).mean(axis=0)[None]
    assert SCORER.score(row)[0] < 0.05
    row[0, 0] += 1e-6
    assert SCORER.score(row)[0] < 0.05
    row[0, 0] += 20
    assert SCORER.score(row)[0] == 1.0
    assert OutlierScorer(np.zeros((10, 3))).score(np.array([[0.0, 0, 0], [0, 9, 0]])).tolist() == [0.0, 1.0]


def test_a_shape_gives_the_distances_of_its_covariance() -> None:
    rows = np.random.default_rng(6).normal(size=(200_000, 3)) @ np.diag([1.0, 2.0, 3.0])
    distances = Shape.fit(rows).squared_distances(np.diag([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(distances, 1.0, rtol=0.02)


def test_rows_do_not_see_each_other_and_sequences_are_seen_whole() -> None:
    generator = np.random.default_rng(7)
    reference = np.cumsum(generator.normal(size=(500, 5, 2)), axis=1)
    scorer, new = OutlierScorer(reference), np.cumsum(generator.normal(size=(20, 5, 2)), axis=1)
    alone = np.concatenate([scorer.score(one[None]) for one in new])
    np.testing.assert_allclose(scorer.score(new), alone, atol=0.002)
    jumped = new.copy()
    jumped[:, 2, 0] += 10
    assert (scorer.score(jumped) == 1).all()


def test_the_reference_of_a_bundle_is_what_its_scaler_scores_by() -> None:
    parts = make_parts("linear")
    runtime = ScalerRuntime(parts)
    scores = runtime.outliers.score(runtime.transform(parts.reference.raw).matrix)
    assert len(scores) == 50
    assert scores.max() <= 1
    assert len(set(scores)) > 20


def body_of(**more: Any) -> dict[str, Any]:
    samples, _ = fly(5)
    return instance_of(CONTRACT, samples[105:160], "A12") | more


def far_body(**more: Any) -> dict[str, Any]:
    """The same flight at a hundred times the speed."""
    body = body_of(**more)
    first = body["samples"][0]["altitude_m"]
    for number, sample in enumerate(body["samples"]):
        sample["altitude_m"] = first + 100 * number
    return body


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path) as system:
        yield system


@pytest.fixture
async def client(system: LocalSystem) -> AsyncIterator[httpx.AsyncClient]:
    async with system.http() as client:
        ensembles = {"blend": {"arms": ["mlp", "linear"]}}
        await client.put("/traffic", json=POLICY.model_dump(mode="json") | {"ensembles": ensembles})
        yield client


async def test_answers_have_the_score_and_info_counts_it(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    for arm in ("mlp", "blend"):
        headers = {"Raysonde-Arm": arm}
        usual = (await client.post("/predict", json=body_of(id=f"{arm}-usual"), headers=headers)).json()
        far = (await client.post("/predict", json=far_body(id=f"{arm}-far"), headers=headers)).json()
        assert 0 <= usual["outlier_score"] < 1
        assert far["outlier_score"] == 1
    info = (await client.get("/info")).json()
    counts = [
        (one["predictions"], one["outliers"])
        for one in (info["arms"]["mlp"], info["ensembles"]["blend"], info["arms"]["linear"])
    ]
    assert counts == [(2, 1), (2, 1), (0, 0)]
    await system.stack.close()
    rows = {row.id: row.outlier_score for _, row in system.store.predictions("apogee")}
    assert rows["mlp-far"] == rows["blend-far"] == 1
    usual = rows["mlp-usual"]
    assert usual is not None
    assert usual < 1


async def test_a_batch_has_the_score_of_each(client: httpx.AsyncClient) -> None:
    body = {"instances": [body_of(), far_body(), body_of()]}
    answers = (await client.post("/batch_predict", json=body)).json()["predictions"]
    assert [answer["outlier_score"] == 1 for answer in answers] == [False, True, False]


async def test_the_score_is_in_the_schema_of_answers(client: httpx.AsyncClient) -> None:
    text = (await client.get("/openapi.json")).json()
    schema = text["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["properties"]["outlier_score"]["maximum"] == 1
