"""A long list in a JSON body, read a piece at a time: `{"instances": [...]}`, `{"items": [...]}`.

A parser of JSON holds the interpreter for as long as a body takes, half a second and more for 64 MiB. So the
ends of the items are found first, and counted before anything is made of them. Then the items are parsed some
at a time. Between any two steps others have their turns (docs/decisions/0027-bounds-on-what-is-sent.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from deployments.domain.errors import MAX_ERRORS, MalformedJson, TooLarge
from deployments.requests.json_bodies import SMALL_BODY_BYTES, PartCounts, read_json
from deployments.requests.validation_errors import invalid_fields
from features.errors import BODY, FieldError

Body = bytes | bytearray

# A millisecond or less each: bytes searched for ends, bytes and items parsed together.
_SEARCHED_BYTES = 64 << 10
_PARSED_BYTES = 32 << 10
_PARSED_ITEMS = 32
# Whitespace around what is searched for; more is no list, rather than a search of its own.
_MOST_SPACE = 4096
_SPACE = rb"[ \t\n\r]{0,%d}" % _MOST_SPACE
_COMMA = re.compile(rb"[ \t\n\r]*,")
_BACKSLASH, _QUOTE = b"\\", ord('"')

_DEPTH_STEPS = np.zeros(256, np.int8)
_DEPTH_STEPS[list(b"[{")] = 1
_DEPTH_STEPS[list(b"]}")] = -1
_MATTERS = np.zeros(256, np.bool_)
_MATTERS[list(b'[{}]"')] = True


@dataclass(frozen=True)
class ListRules:
    """The rules of a list in a body.

    Attributes:
        member: name of the only member of the body.
        expected: what it holds, in words.
        most_items: of the list.
        most_item_bytes: of each item.
        parts: of each item.
    """

    member: str
    expected: str
    most_items: int
    most_item_bytes: int
    parts: PartCounts


class Item(NamedTuple):
    """An item of a list.

    Attributes:
        value: its JSON value.
        text: as it was sent, on one line; None where that would have to be made.
    """

    value: Any
    text: bytes | None


def read_list(body: Body, rules: ListRules) -> Iterator[list[Item]]:
    """Yield the items in their order, parsed some at a time; no items where others may have a turn before.

    Raises:
        TooLarge: more items, or a longer one, than the rules have it.
        MalformedJson: no JSON.
        FieldError, InvalidFields: another shape than `{member: [...]}`, or an item with far too many parts.
    """
    if len(body) <= SMALL_BODY_BYTES:
        yield list_in(read_json(bytes(body)), rules)
    else:
        yield from _LongList(body, rules).items()


def list_in(members: Any, rules: ListRules) -> list[Item]:
    """Return the items of a short body that is read.

    Raises:
        FieldError, InvalidFields: another shape than `{member: [...]}`, said in detail.
    """
    if not isinstance(members, dict):
        raise FieldError(BODY, members, "an object")
    items = members.pop(rules.member, None)
    errors = [] if items and isinstance(items, list) else [FieldError(rules.member, items, rules.expected)]
    unknown = f"no field of this name; the fields are {rules.member}"
    errors += [FieldError(name, value, unknown) for name, value in islice(members.items(), MAX_ERRORS)]
    if errors:
        raise invalid_fields(tuple(errors), max(len(members) - MAX_ERRORS, 0))
    assert isinstance(items, list)
    return [Item(item, None) for item in items]


class _LongList:
    """The list in the only member of a long JSON object."""

    def __init__(self, body: Body, rules: ListRules) -> None:
        self._body = body
        self._rules = rules
        self._member = member = rules.member
        self._ends: list[int] = []
        head = re.match(rb"%s\{%s\"%s\"%s:%s\[" % (_SPACE, _SPACE, member.encode(), _SPACE, _SPACE), body)
        if head is None:
            raise self._other_shape(0)
        self._begin = head.end()

    def items(self) -> Iterator[list[Item]]:
        """Find all items, then parse them in their order, some at each step."""
        for _ in self._search():
            yield []
        if not self._ends:
            raise FieldError(self._member, [], self._rules.expected)
        begin, first = self._begin, 0
        while first < len(self._ends):
            after = first + 1
            for end in self._ends[after : first + _PARSED_ITEMS]:
                if end - begin > _PARSED_BYTES:
                    break
                after += 1
            yield self._parse(begin, first, after)
            begin, first = self._ends[after - 1], after

    def _search(self) -> Iterator[None]:
        """Find the ends of all items, some at each step."""
        state = _SearchState()
        count, position, last = 0, self._begin, self._begin
        while state.list_end is None:
            if position >= len(self._body):
                raise MalformedJson(f"The body is not JSON: it ends before {self._member} does")
            ends = state.search(bytes(self._body[position : position + _SEARCHED_BYTES])) + position
            count += len(ends)
            self._ends.extend(ends.tolist())
            position += _SEARCHED_BYTES
            if count > self._rules.most_items:
                raise TooLarge(
                    f"{self._member}: got {count} or more, expected at most {self._rules.most_items}"
                )
            last = self._check_lengths(last, ends, min(position, len(self._body)))
            yield
        self._finish(state.list_end + position - _SEARCHED_BYTES)

    def _check_lengths(self, last: int, ends: NDArray[np.intp], position: int) -> int:
        """Return the end of the last item; TooLarge if an item is longer than it may be."""
        lengths = np.diff(ends, prepend=last, append=position)
        most = self._rules.most_item_bytes
        if lengths.max() > most:
            raise TooLarge(f"{self._member}: got an item of more than {most:,} bytes, expected at most that")
        return int(ends[-1]) if len(ends) else last

    def _finish(self, list_end: int) -> None:
        """Take what stands between the last item and the end of the list, and look at what follows that."""
        rest = bytes(self._body[list_end : list_end + 2 * _MOST_SPACE + 3])
        if not re.fullmatch(rb"\]%s\}%s" % (_SPACE, _SPACE), rest):
            if not rest.startswith(b"]"):
                raise MalformedJson(
                    f"The body is not JSON: a bracket closes {self._member} that is none of a list"
                )
            raise self._other_shape(list_end)
        last = self._ends[-1] if self._ends else self._begin
        if bytes(self._body[last:list_end]).strip(b" \t\n\r"):
            self._ends.append(list_end)

    def _parse(self, begin: int, first: int, after: int) -> list[Item]:
        """Parse the items of a piece, which has at least one; the pieces make up all of the list."""
        ends = self._ends[first:after]
        text = whole = bytes(self._body[begin : ends[-1]])
        place = f"{self._member}[{first}]"
        if first:
            comma = _COMMA.match(text)
            if comma is None or not text[comma.end() :].strip(b" \t\n\r"):
                raise MalformedJson(f"The body is not JSON: expected a comma and an item at {place}")
            text = text[comma.end() :]
        if len(text) > _PARSED_BYTES:  # then it is one item
            self._rules.parts.check(text, place)
        try:
            values = from_json(b"[" + text + b"]", cache_strings="keys")
        except ValueError as error:
            raise MalformedJson(f"The body is not JSON: {error}, counted from {place}") from None
        # others may stand between those whose ends were found
        if len(values) != len(ends) or b"\n" in text:
            return [Item(value, None) for value in values]
        begins = [0, *(end - begin for end in ends)]
        texts = (whole[one:two].lstrip(b", \t\r") for one, two in pairwise(begins))
        return list(map(Item, values, texts))

    def _other_shape(self, position: int) -> FieldError:
        there = bytes(self._body[position : position + 100]).decode(errors="replace")
        return FieldError(BODY, there, f'{{"{self._member}": [...]}} and nothing else')


class _SearchState:
    """The state of a search between two pieces of a list's text.

    Attributes:
        list_end: place of the bracket that closes the list, in the last piece; None until it is found.
    """

    def __init__(self) -> None:
        self.list_end: int | None = None
        self._depth = 0
        self._in_string = 0
        self._escapes_next = False

    def search(self, text: bytes) -> NDArray[np.intp]:
        """Return the ends of the items that are objects or lists and end in the next piece of text."""
        codes = np.frombuffer(self._without_escapes(text), np.uint8)
        places = np.flatnonzero(_MATTERS[codes])
        found = codes[places]
        in_string = np.bitwise_xor.accumulate((found == _QUOTE).view(np.uint8)) ^ self._in_string
        steps = np.where(in_string == 1, np.int8(0), _DEPTH_STEPS[found])
        depths = np.cumsum(steps, dtype=np.int64) + self._depth
        if len(places):
            self._in_string, self._depth = int(in_string[-1]), int(depths[-1])
        closes = steps < 0
        beyond = np.flatnonzero(closes & (depths < 0))
        if beyond.size:
            self.list_end = int(places[beyond[0]])
            closes[beyond[0] :] = False
        ends: NDArray[np.intp] = places[closes & (depths == 0)] + 1
        return ends

    def _without_escapes(self, text: bytes) -> bytes:
        """Return the text with other characters in place of escaped backslashes and quotes."""
        if self._escapes_next:
            text = b"_" + text[1:]
        self._escapes_next = False
        if _BACKSLASH in text:
            text = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
            self._escapes_next = text.endswith(_BACKSLASH)
        return text
