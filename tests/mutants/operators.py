"""Single mutations of a module: those of cosmic-ray that can matter, and the deletion of a statement."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import parso.python.tree
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

Position = tuple[int, int]

# Left out: what is the same but for identity (`is` for `==`), what only swaps one nonsense for another, what
# removes caches and properties, and what draws at random.
_CHOSEN = re.compile(
    r"core/("
    r"ReplaceComparisonOperator_(Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_GtE|LtE_Gt|Gt_LtE|GtE_Lt|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|Pow_Mul|LShift_Mul|BitAnd_BitOr)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not|Delete_USub|Delete_Invert)"
    r"|AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ExceptionReplacer|NumberReplacer|ZeroIterationForLoop"
    r")$"
)
# What is never so: two that go together have one length.
_SAYS_WHAT_HOLDS = ("strict=True",)
# Leaves that no operator changes: most of a module.
_PASSED_OVER = ("name", "string", "newline", "endmarker", "fstring_string")


class DeleteStatement(Operator):  # type: ignore[misc]
    """Delete a call whose result nobody takes, or an assignment to a member or an item."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Position, Position]]:
        """See `Operator`."""
        if node.type == "simple_stmt" and _has_effect(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """See `Operator`."""
        first = node.children[0]
        node.children[0] = parso.python.tree.Name("pass", first.start_pos, first.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: tests/unit/support has them."""
        return ()


@dataclass(frozen=True, order=True)
class Mutation:
    """One change of one module, by an operator at the occurrence with this number."""

    line: int
    column: int
    operator: str
    occurrence: int

    def apply(self, source: str) -> str:
        """The source with the change."""
        changed = mutate_code(source, _operator(self.operator), self.occurrence)
        assert changed is not None, "found in the same source"
        return str(changed)


def mutations(source: str) -> list[list[Mutation]]:
    """Return what can be changed, by place: all mutations of one place together, in the order of places."""
    nodes = [node for node in ast_nodes(get_ast(source)) if node.type not in _PASSED_OVER]
    places: dict[Position, list[Mutation]] = defaultdict(list)
    for name in (*(name for name in operator_names() if _CHOSEN.match(name)), DeleteStatement.__name__):
        for number, (node, position) in enumerate(_positions(_operator(name), nodes)):
            if _is_read(node):
                places[position].append(Mutation(*position, name, number))
    return [places[position] for position in sorted(places)]


@cache
def _operator(name: str) -> Operator:
    return DeleteStatement() if name == DeleteStatement.__name__ else get_operator(name)()


def _positions(operator: Operator, nodes: Iterable[Any]) -> Iterator[tuple[Any, Position]]:
    for node in nodes:
        for start, _ in operator.mutation_positions(node):
            yield node, start


def _has_effect(statement: Any) -> bool:
    if statement.type in ("atom_expr", "power"):
        return bool(statement.children[-1].type == "trailer")
    if statement.type != "expr_stmt":
        return False
    target, operation = statement.children[:2]
    is_augmented = operation.type == "operator" and operation.value != "="
    return bool(is_augmented or target.type in ("atom_expr", "power"))


def _is_read(node: Any) -> bool:
    """Whether the node says what is done: no annotation, no text, no rule that a test of its own holds."""
    inner, outer = None, node
    while outer is not None:
        if outer.type in ("fstring", "decorator"):
            return False
        if outer.type == "operator" and outer.parent.type in ("parameters", "typedargslist"):
            return False  # the mark between what may be passed by place and what only by name
        if outer.type == "argument" and outer.get_code().strip() in _SAYS_WHAT_HOLDS:
            return False
        if outer.type == "funcdef" and inner is not None and inner is outer.annotation:
            return False
        if outer.type in ("annassign", "tfpdef") and inner in _annotations(outer):
            return False
        if outer.type == "expr_stmt" and outer.children[0].get_code().strip() == "model_config":
            return False
        if outer.type == "if_stmt" and outer.children[1].get_code().strip() == "TYPE_CHECKING":
            return False
        inner, outer = outer, outer.parent
    return True


def _annotations(node: Any) -> list[Any]:
    """Return what follows the colon of a declaration."""
    colon = next(number for number, child in enumerate(node.children) if child.get_code().strip() == ":")
    return [node.children[colon + 1]]
