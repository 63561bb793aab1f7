"""The trees of an ONNX node: ONNX Runtime follows them by recursion, and asks nothing of their depth.

A tree of 100,000 levels ends the process that opens it, and one whose branches meet again never answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from training.runtime.errors import BoundExceeded, MalformedBundle

MOST_TREE_DEPTH = 512

# A string of at most 15 bytes in an attribute's list of them, with its tag and its length. The lengths of the
# names of modes stand first, for speed.
STRINGS = rb"\x4a(?:%b)" % b"|".join(
    rb"\x%02x" % length + b"." * length for length in sorted(range(16), key=lambda one: one not in (4, 10))
)

_LEAVES = re.compile(rb"(\x4a\x04LEAF)|" + STRINGS, re.DOTALL)
_IDS = (b"nodes_treeids", b"nodes_nodeids", b"nodes_truenodeids", b"nodes_falsenodeids")
_MODES = b"nodes_modes"
# Ids of 28 bits fit.
_MOST_VARINT_BYTES = 4

IntArray = NDArray[np.int64]


def check_trees(lists: Iterable[tuple[bytes, bytes]]) -> None:
    """Check that each child has one parent, comes after it, and is not too deep.

    Args:
        lists: names of a node's attributes, and the bytes of their elements, each with its tag.

    Raises:
        BoundExceeded: a tree is deeper than any of ours.
        MalformedBundle: they are no trees.
    """
    named = [(name, content) for name, content in lists if name in (*_IDS, _MODES)]
    found = dict(named)
    if len(named) != len(_IDS) + 1 or len(found) != len(named):
        names = sorted(name.decode() for name, _ in named)
        raise MalformedBundle(f"model.onnx: a node of trees has the lists {names}, expected five of them")
    tree, node, true, false = (_numbers(found[name]) for name in _IDS)
    is_leaf = np.array([bool(leaf) for leaf in _LEAVES.findall(found[_MODES])], dtype=bool)
    lengths = {len(one) for one in (tree, node, true, false, is_leaf)}
    if len(lengths) != 1 or lengths == {0}:
        raise MalformedBundle(
            f"model.onnx: lists of trees have {sorted(lengths)} elements, expected one length"
        )
    parents, children = _edges(tree, node, np.stack([true, false]), ~is_leaf)
    _check_depth(parents, children, len(node))


def _numbers(content: bytes) -> IntArray:
    """Return the numbers of a run: tag, number, tag, number, each with its high bit off in the last byte."""
    data = np.frombuffer(content, dtype=np.uint8)
    ends = np.flatnonzero(data < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1])[1::2]
    lengths = ends[1::2] - starts + 1
    if lengths.max(initial=0) > _MOST_VARINT_BYTES:
        raise MalformedBundle("model.onnx: a tree has an id of more than 28 bits, expected less")
    values = np.zeros(len(starts), dtype=np.int64)
    for place in range(lengths.max(initial=0)):
        there = lengths > place
        values[there] |= (data[starts[there] + place] & 0x7F).astype(np.int64) << (7 * place)
    return values


def _edges(
    tree: IntArray, node: IntArray, children: IntArray, branch: NDArray[np.bool_]
) -> tuple[IntArray, IntArray]:
    """Return the positions of parents and of their children, both (edges,)."""
    keys = tree * (1 << 28) + node
    order = np.argsort(keys, kind="stable")
    parents = np.tile(np.flatnonzero(branch), 2)
    wanted = children[:, branch].ravel()
    targets = tree[parents] * (1 << 28) + wanted
    places = np.searchsorted(keys[order], targets).clip(max=len(keys) - 1)
    found = order[places]
    is_tree = (
        (np.diff(keys[order]) > 0).all()
        and (keys[found] == targets).all()
        and (wanted > node[parents]).all()
        and (np.bincount(found, minlength=1) <= 1).all()
    )
    if not is_tree:
        raise MalformedBundle("model.onnx: expected trees whose nodes have one parent, of a lower id")
    return parents, found


def _check_depth(parents: IntArray, children: IntArray, nodes: int) -> None:
    depth = np.zeros(nodes, dtype=bool)
    depth[children] = True
    is_reached = ~depth
    for _ in range(MOST_TREE_DEPTH):
        is_next = is_reached[parents]
        if not is_next.any():
            return
        is_reached = np.zeros(nodes, dtype=bool)
        is_reached[children[is_next]] = True
    raise BoundExceeded(f"model.onnx: a tree is deeper than {MOST_TREE_DEPTH} levels")
