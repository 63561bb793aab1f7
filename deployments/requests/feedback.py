"""The body of `POST /feedback`: one truth or a list of them, checked against the contract's target."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, create_model

from deployments.domain.errors import InvalidFields, MalformedJson, TooLarge
from deployments.domain.ids import id_text, id_type
from deployments.requests.validation_errors import path_text
from deployments.store import Truth
from features.contract import Contract
from features.errors import FieldError

MAX_TRUTHS = 10_000
_STRICT = ConfigDict(extra="forbid", frozen=True)


class FeedbackParser:
    """A parser of the truths of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._item_model = _item_model(contract)
        limits = Field(min_length=1, max_length=MAX_TRUTHS, fail_fast=True)
        items: Any = Annotated[list[self._item_model], limits]  # type: ignore[name-defined]
        self.model = create_model(
            f"{contract.workload}_feedback",
            __config__=_STRICT,
            items=(items, Field(description="truths, each under the id of its prediction")),
        )

    def parse(self, body: bytes) -> list[Truth]:
        """Return the truths of `{"id", "truth", "observed_at"?}` or `{"items": [...]}`.

        Raises:
            MalformedJson: no JSON.
            TooLarge: more than MAX_TRUTHS items.
            FieldError, InvalidFields: one or several members are invalid.
        """
        try:
            # the member decides, so that errors speak of the form that the sender meant
            if b'"items"' in body:
                return [_truth(item) for item in self.model.model_validate_json(body).items]  # type: ignore[attr-defined]
            return [_truth(self._item_model.model_validate_json(body))]
        except ValidationError as error:
            raise self._translate(error) from None

    def _translate(self, error: ValidationError) -> Exception:
        found = error.errors(include_url=False)
        for one in found:
            if one["type"] == "json_invalid":
                return MalformedJson(f"The body is not JSON: {one['ctx']['error']}")
            if one["type"] == "too_long" and one["loc"] == ("items",):
                return TooLarge(f"items: got {one['ctx']['actual_length']}, expected at most {MAX_TRUTHS}")
        errors = tuple(
            FieldError(
                path_text(one["loc"]) or "body",
                None if one["type"] == "missing" else one["input"],
                self._expectation(one),
            )
            for one in found
        )
        return errors[0] if len(errors) == 1 else InvalidFields(errors)

    def _expectation(self, one: Any) -> str:
        if one["type"] == "extra_forbidden":
            return "no member of this name; a truth has id, truth and, if you like, observed_at"
        match one["loc"][-1] if one["loc"] else None:
            case "id":
                return f"the id of a prediction, {id_text(self._contract)}"
            case "observed_at":
                return "a time with its zone, for example 2026-05-01T12:00:00Z"
            case "items":
                return "a list of at least one truth"
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
        "observed_at": (AwareDatetime | None, Field(default=None, description="when it was observed")),
    }
    return create_model(f"{contract.workload}_feedback_item", __config__=_STRICT, **members)


def _truth(item: Any) -> Truth:
    return Truth(str(item.id), item.truth.model_dump(exclude_unset=True), item.observed_at)
