"""The losses by which networks learn numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.fitting.costs import make_costs

NAN = float("nan")
GROUPS = ((0, 1), (2, 3))


def test_a_distance_is_that_of_its_sides_and_others_are_absolute() -> None:
    costs = make_costs({"loss": "distance"}, GROUPS)
    found = torch.tensor([[[3.0, 4.0, 1.0, 1.0, -2.0]], [[0.0, 2.0, 1.0, 2.0, 5.0]]])
    cost = costs(found, torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.0]]))
    expected = [[[5.0, 0.0, 2.0]], [[2.0, 1.0, 5.0]]]
    torch.testing.assert_close(cost, torch.tensor(expected), rtol=0, atol=4e-3)


def test_its_slope_is_one_far_away_and_none_where_the_truth_is_hit() -> None:
    found = torch.tensor([[[30.0, 40.0, 7.0, 7.0]]], requires_grad=True)
    make_costs({"loss": "distance"}, GROUPS)(found, torch.tensor([[0.0, 0.0, 7.0, 7.0]])).sum().backward()
    torch.testing.assert_close(found.grad, torch.tensor([[[0.6, 0.8, 0.0, 0.0]]]))


def test_what_is_not_known_costs_nothing_and_teaches_nothing() -> None:
    found = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]], requires_grad=True)
    costs = make_costs({"loss": "distance"}, GROUPS)(found, torch.tensor([[0.0, 0.0, NAN, 0.0, NAN]]))
    assert costs.detach()[0, 0, 1:].tolist() == [0, 0]
    costs.sum().backward()
    assert found.grad is not None
    assert torch.isfinite(found.grad).all()
    assert found.grad[0, 0, 2:].tolist() == [0, 0, 0]


def test_huber_is_the_default_and_other_names_are_refused() -> None:
    costs = make_costs({"huber_delta": 1.0}, GROUPS)
    cost = costs(torch.tensor([[[0.5, 3.0]]]), torch.zeros(1, 2))
    np.testing.assert_allclose(cost, [[[0.125, 2.5]]])
    with pytest.raises(ValueError, match="loss: got 'square', expected 'huber' or 'distance'"):
        make_costs({"loss": "square"}, GROUPS)
