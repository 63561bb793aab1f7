"""Graphs are judged without being run: by their operators, and by how much there is of everything."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from toy.parts import linear_graph

from tests.support.bombs import chain_of_nodes, endless_loop, model_of, tree
from training.runtime.errors import BoundExceeded, BundleError, ForbiddenOperator, MalformedBundle
from training.runtime.graph_bounds import (
    MOST_DESCRIPTION_BYTES,
    MOST_ELEMENTS,
    MOST_FIELDS,
    MOST_GRAPH_DEPTH,
    MOST_NODES,
    check_graph,
)
from training.runtime.graph_operators import OPERATORS
from training.runtime.graph_trees import MOST_TREE_DEPTH

GRAPH = linear_graph(np.ones(4))
WITH_SUBGRAPHS = OPERATORS | {"Loop", "If"}


def changed(graph: bytes = GRAPH) -> onnx.ModelProto:
    return onnx.load_from_string(graph)


def test_a_graph_of_ours_passes() -> None:
    check_graph(GRAPH)
    check_graph(tree([1, 0, 3, 0, 0], [2, 0, 4, 0, 0]))
    check_graph(chain_of_nodes(MOST_TREE_DEPTH - 1))
    check_graph(endless_loop(), WITH_SUBGRAPHS)


@pytest.mark.parametrize(
    ("operator", "domain", "named"),
    [
        ("Loop", "", "Loop"),
        ("Loop", "ai.onnx", "Loop"),
        ("Cast", "", "Cast"),
        ("MatMul", "com.microsoft", "com.microsoft:MatMul"),
        ("TreeEnsembleRegressor", "", "TreeEnsembleRegressor"),
        ("TreeEnsembleClassifier", "ai.onnx.ml", "ai.onnx.ml:TreeEnsembleClassifier"),
        ("", "", ""),
    ],
)
def test_another_operator_is_refused_by_its_name(operator: str, domain: str, named: str) -> None:
    graph = model_of(helper.make_node(operator, ["x"], ["y"], domain=domain))
    with pytest.raises(ForbiddenOperator, match=f"has the operator '{named}', expected one of"):
        check_graph(graph)


def test_an_operator_in_a_subgraph_is_found() -> None:
    with pytest.raises(ForbiddenOperator, match="'Add'"):
        check_graph(endless_loop(), {"Loop", "MatMul", "Identity"})


def test_an_operator_that_is_spelt_twice_is_refused() -> None:
    """A parser takes the last: `MatMul` would be seen, and `Loop` be run."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"]).SerializeToString()
    twice = node + helper.make_node("Loop", [], []).SerializeToString()
    graph = b"\x0a" + bytes([len(twice)]) + twice
    with pytest.raises(MalformedBundle, match="a node has 2 operators"):
        check_graph(b"\x3a" + bytes([len(graph)]) + graph)


def test_graphs_that_a_parser_would_join_are_refused() -> None:
    with pytest.raises(MalformedBundle, match="has 2 graphs, expected 1"):
        check_graph(GRAPH + GRAPH)


def functions(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="d")


def training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def outside(model: onnx.ModelProto) -> None:
    weights = model.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/hostname")


def outside_without_a_place(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def of_a_function(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="a", ref_attr_name="b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (functions, "ModelProto has the field 25"),
        (training, "ModelProto has the field 20"),
        (sparse, "GraphProto has the field 15"),
        (outside, "TensorProto has the field 13"),
        (outside_without_a_place, "a tensor outside of the file"),
        (of_a_function, "AttributeProto has the field 21"),
    ],
)
def test_a_part_that_none_of_ours_has_is_refused(change: object, message: str) -> None:
    model = changed()
    assert callable(change)
    change(model)
    with pytest.raises(MalformedBundle, match=message):
        check_graph(model.SerializeToString())


def many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend([helper.make_node("Add", ["x", "x"], ["z"])] * MOST_NODES)


def many_fields(model: onnx.ModelProto) -> None:
    model.graph.value_info.extend([onnx.ValueInfoProto()] * MOST_FIELDS)


def long_description(model: onnx.ModelProto) -> None:
    model.graph.value_info.add(name="x" * MOST_DESCRIPTION_BYTES)


def large_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2**20, 2**20]


def negative_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [-1]


def many_elements(model: onnx.ModelProto) -> None:
    one_by_one = b"\x40\x07"
    model.graph.node[0].attribute.add(name="a").MergeFromString(one_by_one * (MOST_ELEMENTS // 2))
    model.graph.node[0].attribute.add(name="b").MergeFromString(one_by_one * (MOST_ELEMENTS // 2 + 1))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (many_nodes, "nodes"),
        (many_fields, "fields"),
        (long_description, "bytes of description"),
        (large_tensor, "elements of tensors"),
        (negative_tensor, "elements of tensors"),
        (many_elements, "elements of lists"),
    ],
)
def test_too_much_of_anything_is_refused(change: object, what: str) -> None:
    model = changed()
    assert callable(change)
    change(model)
    with pytest.raises(BoundExceeded, match=f"model.onnx: has more than .* {what}"):
        check_graph(model.SerializeToString())


def test_subgraphs_are_bounded_in_depth() -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    for _ in range(MOST_GRAPH_DEPTH):
        node = helper.make_node("If", ["x"], ["y"], then_branch=helper.make_graph([node], "then", [], []))
    with pytest.raises(BoundExceeded, match=f"deeper than {MOST_GRAPH_DEPTH}"):
        check_graph(model_of(node), WITH_SUBGRAPHS)


def test_a_tree_that_would_end_the_process_is_refused() -> None:
    with pytest.raises(BoundExceeded, match=f"a tree is deeper than {MOST_TREE_DEPTH} levels"):
        check_graph(chain_of_nodes(20_000))


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ([1, 1, 0], [2, 2, 0]),
        ([2, 0, 4, 0, 2, 0], [1, 0, 3, 0, 5, 0]),
        ([2, 0, 0], [2, 0, 0]),
        ([1, 0], [5, 0]),
        ([1, 0], [2**29, 0]),
    ],
    ids=["itself", "in a circle", "two parents", "nobody", "a large id"],
)
def test_what_is_no_tree_is_refused(true: list[int], false: list[int]) -> None:
    with pytest.raises(MalformedBundle, match=r"model\.onnx: .*(one parent|28 bits)"):
        check_graph(tree(true, false))


def test_lists_of_trees_have_one_length() -> None:
    model = changed(tree([1, 0, 0], [2, 0, 0]))
    (ids,) = (one for one in model.graph.node[0].attribute if one.name == "nodes_nodeids")
    ids.ints.append(3)
    with pytest.raises(MalformedBundle, match=r"lists of trees have \[3, 4\] elements"):
        check_graph(model.SerializeToString())
    ids.name = "other"
    with pytest.raises(MalformedBundle, match="a node of trees has the lists"):
        check_graph(model.SerializeToString())


@given(st.sampled_from([GRAPH, tree([1, 0, 3, 0, 0], [2, 0, 4, 0, 0]), endless_loop()]), st.data())
def test_whatever_bytes_there_are_a_graph_passes_or_is_refused(graph: bytes, data: st.DataObject) -> None:
    content = bytearray(graph)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BundleError):
        check_graph(bytes(content[: data.draw(st.integers(0, len(content)))]), WITH_SUBGRAPHS)
    with suppress(BundleError):
        check_graph(bytes(content), WITH_SUBGRAPHS)
