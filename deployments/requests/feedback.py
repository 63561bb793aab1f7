"""The body of `POST /feedback`: one truth or a list of them, checked against the contract's target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)

from deployments.domain.errors import MAX_ERRORS, InvalidFields
from deployments.domain.ids import MAX_NAME_LENGTH, id_text, id_type
from deployments.domain.instances import UNKNOWN_CALLER, Caller
from deployments.requests.json_bodies import SMALL_BODY_BYTES, PartCounts, expect_members, read_json
from deployments.requests.json_lists import Body, Item, ListRules, list_in, read_list
from deployments.requests.validation_errors import invalid_fields, path_text, within
from deployments.store import Truth
from features.contract import Contract
from features.errors import BODY, FieldError, InvalidInput

MAX_TRUTHS = 10_000
MAX_TRUTH_BYTES = 64 << 10
# A clock may be wrong, or of another zone than it says. What is further ahead cannot have been observed.
MAX_AHEAD = timedelta(days=1)
# What is later can be written in every time zone, and kept by every database.
EARLIEST_YEAR = 1900
_STRICT = ConfigDict(extra="forbid", frozen=True)
_MOST_MEMBERS = 100


def _check_time(time: datetime) -> datetime:
    # not compared in UTC, which may lead out of the calendar at its ends
    if not EARLIEST_YEAR <= time.year < datetime.max.year:
        raise ValueError("out of the calendar")
    return time


_Time = Annotated[AwareDatetime, AfterValidator(_check_time)]


class FeedbackParser:
    """A parser of the truths of one contract.

    Args:
        contract: of the workload.
        now: UTC time, which truths may be ahead of by MAX_AHEAD.
    """

    def __init__(self, contract: Contract, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._contract = contract
        self._now = now
        self._item_model = _item_model(contract)
        self._rules = _rules(contract)
        limits = Field(min_length=1, max_length=MAX_TRUTHS)
        items: Any = Annotated[list[self._item_model], limits]  # type: ignore[name-defined]
        self.model = create_model(
            f"{contract.workload}_feedback",
            __config__=_STRICT,
            items=(items, Field(description="truths, each under the id of its prediction")),
        )

    def parse(self, body: Body) -> list[Truth]:
        """Return the truths of `read`."""
        return [truth for truth in self.read(body) if truth is not None]

    def read(self, body: Body, caller: Caller = UNKNOWN_CALLER) -> Iterator[Truth | None]:
        """Yield the truths of a body; None where others may have a turn.

        The body is `{"id", "truth", "observed_at"?}` or `{"items": [...]}`.

        Raises:
            MalformedJson: no JSON.
            TooLarge: more than MAX_TRUTHS items, or one of more than MAX_TRUTH_BYTES.
            FieldError, InvalidFields: members of the truth, or of the first wrong one, are invalid.
        """
        latest = self._now() + MAX_AHEAD
        lists: Iterable[list[Item]]
        if len(body) > SMALL_BODY_BYTES:
            lists = read_list(body, self._rules)
        else:
            members = read_json(bytes(body))
            if not isinstance(members, dict) or "items" not in members:
                yield self._read_item(members, latest, caller)
                return
            lists = [list_in(members, self._rules)]
        yield from self._read_items(lists, latest, caller)

    def _read_items(
        self, lists: Iterable[list[Item]], latest: datetime, caller: Caller
    ) -> Iterator[Truth | None]:
        index = 0
        for items in lists:
            yield None
            for item, _ in items:
                try:
                    yield self._read_item(item, latest, caller)
                except InvalidInput as error:
                    raise within(error, f"items[{index}]") from None
                index += 1

    def _read_item(self, members: Any, latest: datetime, caller: Caller) -> Truth:
        expect_members(members, _MOST_MEMBERS)
        if isinstance(members, dict):
            expect_members(members.get("truth"), _MOST_MEMBERS, "truth")
        try:
            item: Any = self._item_model.model_validate(members)
        except ValidationError as error:
            raise self._translate(error) from None
        if item.observed_at is not None and item.observed_at > latest:
            raise FieldError(
                "observed_at",
                members["observed_at"],
                f"a time before {latest:%Y-%m-%dT%H:%M}Z, a day from now",
            )
        value = item.truth.model_dump(exclude_unset=True)
        return Truth(str(item.id), value, item.observed_at, caller.address, caller.has_key)

    def _translate(self, error: ValidationError) -> FieldError | InvalidFields:
        found = error.errors(include_url=False)
        errors = tuple(
            FieldError(
                path_text(one["loc"]) or BODY,
                None if one["type"] == "missing" else one["input"],
                self._expectation(one),
            )
            for one in found[:MAX_ERRORS]
        )
        return invalid_fields(errors, len(found) - len(errors))

    def _expectation(self, one: Any) -> str:
        if one["type"] == "extra_forbidden":
            return "no member of this name; a truth has id, truth and, if you like, observed_at"
        match one["loc"][-1] if one["loc"] else None:
            case "id":
                return f"the id of a prediction, {id_text(self._contract)}"
            case "observed_at":
                return f"a time with its zone, for example 2026-05-01T12:00:00Z, not before {EARLIEST_YEAR}"
            case "truth":
                return "an object with the value of the target"
            case None | int():
                return 'an object: {"id", "truth", "observed_at"?} or {"items": [...]}'
        return self._contract.target.range_text


def _item_model(contract: Contract) -> type[BaseModel]:
    values: dict[str, Any] = {contract.target.name: (contract.target.truth_type(), ...)}
    truth = create_model(f"{contract.workload}_truth", __config__=_STRICT, **values)
    members: dict[str, Any] = {
        "id": (id_type(contract), Field(description="of the prediction")),
        "truth": (truth, Field(description="what turned out to be true")),
        "observed_at": (
            _Time | None,
            Field(default=None, description="when it was observed; at most a day ahead"),
        ),
    }
    return create_model(f"{contract.workload}_feedback_item", __config__=_STRICT, **members)


def _rules(contract: Contract) -> ListRules:
    """Return the rules of a list of truths; a path has four numbers for each of three columns."""
    parts = PartCounts(10 + 2 * len(contract.target_columns), 10 * MAX_NAME_LENGTH)
    return ListRules("items", "a list of at least one truth", MAX_TRUTHS, MAX_TRUTH_BYTES, parts)
