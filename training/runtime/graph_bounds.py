"""A look at an ONNX graph without running it: its operators, and how much there is of everything.

The bytes are walked where they lie, by the wire format of protocol buffers: a parser makes a hundred bytes of
two that say "an empty node". Fields are those of onnx.proto; any that no exporter here writes is refused,
functions, training, sparse tensors and data outside of the file among them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from training.runtime.errors import BoundExceeded, ForbiddenOperator, MalformedBundle
from training.runtime.graph_operators import OPERATORS
from training.runtime.graph_trees import STRINGS, check_trees

MOST_NODES = 2_000
MOST_FIELDS = 100_000
# Of the lists that trees are made of: ten for each of their nodes.
MOST_ELEMENTS = 8_000_000
MOST_TENSOR_ELEMENTS = 16 * 2**20
# Names, types and notes: what is not looked into.
MOST_DESCRIPTION_BYTES = 4 * 2**20
MOST_GRAPH_DEPTH = 4

_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14})
_GRAPH_FIELDS = frozenset({1, 2, 5, 10, 11, 12, 13, 14, 16})
_NODE_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 9})
_ATTRIBUTE_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 20})
_TENSOR_FIELDS = frozenset({1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16})

_RUN_LENGTH = 1000
# A run of ints, of floats, or of short strings of an attribute: a list of a forest has a hundred thousand.
_RUN = re.compile(
    b"|".join(
        rb"(?:%b){1,%d}+" % (element, _RUN_LENGTH)
        for element in (rb"\x40[\x80-\xff]*+[\x00-\x7f]", rb"\x3d....", STRINGS)
    ),
    re.DOTALL,
)


class _Field(NamedTuple):
    """A field of a message, its bytes or for a number its `value`; or a run of elements of a list."""

    number: int
    value: int
    start: int
    end: int
    is_run: bool = False


def check_graph(content: bytes, operators: Collection[str] = OPERATORS) -> None:
    """Check a serialised ONNX model.

    Args:
        content: of ``model.onnx``.
        operators: that it may use; those of another domain as ``domain:Operator``.

    Raises:
        ForbiddenOperator: it uses another.
        BoundExceeded: there is too much of something.
        MalformedBundle: it is no model, or has a part that none of ours has.
    """
    _Walk(content, operators).model()


class _Walk:
    """A walk over a model, with what it has met."""

    def __init__(self, content: bytes, operators: Collection[str]) -> None:
        self._content = content
        self._operators = operators
        self._counts: dict[str, int] = {}

    def model(self) -> None:
        graphs = 0
        for field in self._fields("ModelProto", _MODEL_FIELDS, 0, len(self._content)):
            if field.number == 7:
                graphs += 1
                self._graph(field, 1)
            else:
                self._count("bytes of description", field.end - field.start, MOST_DESCRIPTION_BYTES)
        if graphs != 1:
            raise MalformedBundle(f"model.onnx: has {graphs} graphs, expected 1")

    def _graph(self, graph: _Field, depth: int) -> None:
        if depth > MOST_GRAPH_DEPTH:
            raise BoundExceeded(f"model.onnx: graphs lie deeper than {MOST_GRAPH_DEPTH} in each other")
        for field in self._fields("GraphProto", _GRAPH_FIELDS, graph.start, graph.end):
            if field.number == 1:
                self._count("nodes", 1, MOST_NODES)
                self._node(field, depth)
            elif field.number == 5:
                self._tensor(field)
            else:
                self._count("bytes of description", field.end - field.start, MOST_DESCRIPTION_BYTES)

    def _node(self, node: _Field, depth: int) -> None:
        attributes, operators, domains = [], [], []
        for field in self._fields("NodeProto", _NODE_FIELDS, node.start, node.end):
            if field.number == 5:
                attributes.append(field)
                continue
            text = self._content[field.start : field.end]
            self._count("bytes of description", len(text), MOST_DESCRIPTION_BYTES)
            if field.number == 4:
                operators.append(text)
            elif field.number == 7:
                domains.append(text)
        if len(operators) != 1 or len(domains) > 1:  # a parser takes the last
            raise MalformedBundle(f"model.onnx: a node has {len(operators)} operators, expected 1")
        self._check_operator(operators[0], b"".join(domains))
        lists = [self._attribute(attribute, depth) for attribute in attributes]
        if operators[0].startswith(b"TreeEnsemble"):
            check_trees(lists)

    def _check_operator(self, operator: bytes, domain: bytes) -> None:
        prefix = b"" if domain in (b"", b"ai.onnx") else domain + b":"
        name = (prefix + operator).decode(errors="backslashreplace")
        if name not in self._operators:
            expected = "expected one of training.runtime.graph_operators"
            raise ForbiddenOperator(f"model.onnx: has the operator {name[:100]!r}, {expected}")

    def _attribute(self, attribute: _Field, depth: int) -> tuple[bytes, bytes]:
        """Return its name, and the bytes of a list that stands there element by element."""
        name, runs = b"", []
        for field in self._fields("AttributeProto", _ATTRIBUTE_FIELDS, attribute.start, attribute.end):
            content = self._content[field.start : field.end]
            if field.is_run:
                runs.append(content)
            elif field.number == 1:
                name = content
            elif field.number in (5, 10):
                self._tensor(field)
            elif field.number in (6, 11):
                self._graph(field, depth + 1)
            elif field.number in (7, 8):  # packed, which other writers than ours do
                self._count("elements of lists", len(content), MOST_ELEMENTS)
        return name, b"".join(runs)

    def _tensor(self, tensor: _Field) -> None:
        elements = 1
        for field in self._fields("TensorProto", _TENSOR_FIELDS, tensor.start, tensor.end):
            if field.number == 14 and field.value:
                raise MalformedBundle("model.onnx: has a tensor outside of the file, expected none")
            if field.number == 1:
                for length in self._lengths(field):
                    elements *= length
            elif field.number in (5, 7, 11):
                self._count("elements of lists", field.end - field.start, MOST_ELEMENTS)
        self._count("elements of tensors", elements, MOST_TENSOR_ELEMENTS)

    def _lengths(self, field: _Field) -> Iterator[int]:
        if field.start == field.end:
            yield field.value
        at = field.start
        while at < field.end:
            length, at = self._varint(at, field.end)
            yield length

    def _fields(self, message: str, known: frozenset[int], at: int, end: int) -> Iterator[_Field]:
        """Yield the fields of a message; of an attribute runs of elements as well, which are counted."""
        lists = message == "AttributeProto"
        while at < end:
            if lists and (run := _RUN.match(self._content, at, end)):
                self._count("elements of lists", min(_RUN_LENGTH, len(run[0]) // 2), MOST_ELEMENTS)
                yield _Field(run[0][0] >> 3, 0, at, run.end(), is_run=True)
                at = run.end()
                continue
            self._count("fields", 1, MOST_FIELDS)
            tag, at = self._varint(at, end)
            field = self._field(tag, at, end)
            if field.number not in known:
                expected = f"expected one of {sorted(known)}"
                raise MalformedBundle(f"model.onnx: {message} has the field {field.number}, {expected}")
            yield field
            at = field.end

    def _field(self, tag: int, at: int, end: int) -> _Field:
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = self._varint(at, end)
            return _Field(number, value, at, at)
        if wire == 2:
            length, at = self._varint(at, end)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise MalformedBundle(f"model.onnx: has bytes of the wire type {wire}, expected a graph")
        if at + length > end:
            raise MalformedBundle("model.onnx: ends within a field")
        return _Field(number, 0, at, at + length)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for position in range(10):
            if at + position >= end:
                raise MalformedBundle("model.onnx: ends within a number")
            byte = self._content[at + position]
            value |= (byte & 0x7F) << 7 * position
            if byte < 0x80:
                return value, at + position + 1
        raise MalformedBundle("model.onnx: has a number of more than 10 bytes")

    def _count(self, what: str, more: int, most: int) -> None:
        self._counts[what] = self._counts.get(what, 0) + more
        if self._counts[what] > most:
            raise BoundExceeded(f"model.onnx: has more than {most:,} {what}")
