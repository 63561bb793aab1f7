"""The parser of requests: from bytes to checked instances, by the contract's request model.

The model is made from the contract, so that requests are checked as `GET /schema` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json
from ulid_transform import ulid_now

from deployments.domain.errors import TooLarge
from deployments.domain.instances import FloatArray, Instance, ParsedInstance
from deployments.domain.samples import complete_samples, prepend_samples
from deployments.requests.sample_decoder import SampleDecoder
from deployments.requests.schema import (
    MAX_INSTANCES,
    batch_model,
    entity_attribute,
    field_attribute,
    instance_model,
    naming_model,
)
from deployments.requests.validation_errors import translate
from deployments.runtime.process_memory import drain
from features.contract import Contract, FieldSpec
from features.errors import FieldError
from features.windows import cut_window


class InstanceParser:
    """A parser of the instances of one contract.

    Args:
        contract: of the workload.
        new_id: makes the id of an instance that has none.
        decodes_samples: whether samples go past the model where they can; the result is the same.
    """

    def __init__(
        self, contract: Contract, new_id: Callable[[], str] = ulid_now, *, decodes_samples: bool = True
    ) -> None:
        self.model = instance_model(contract)
        self._naming_model = naming_model(contract)
        self._batch_model = batch_model(self.model)
        self._samples = SampleDecoder(contract) if contract.window and decodes_samples else None
        self._contract = contract
        self._new_id = new_id
        self._entity_members = attrgetter(*map(entity_attribute, range(len(contract.entity_names))))
        self._values = attrgetter(*(field_attribute(i) for i in range(len(contract.fields))))

    def parse_instance(self, body: bytes) -> Instance:
        """Return the instance in the body of a request.

        Raises:
            MalformedJson: no JSON.
            FieldError, InvalidFields: a field is missing, unknown, of the wrong kind or out of range, or the
                samples make no window.
            SchemaVersionError: the sender has another version of the contract.
        """
        return self.finish(self.read(body))

    def read(self, body: bytes) -> ParsedInstance:
        """Return the instance in the body of a request, for `finish`.

        Raises:
            InvalidInput: as `parse_instance`, but for a window that cannot be cut.
        """
        if self._samples is not None:
            parsed = self._decode_samples(_json_or_none(body), body)
            if parsed is not None:
                return parsed
        try:
            members = self.model.model_validate_json(body)
        except ValidationError as error:
            raise translate(self._contract, error) from None
        return self._from_model(members, body)

    def parse_batch(self, body: bytes) -> Iterator[Instance]:
        """Yield the instances of `{"instances": [...]}` in their order.

        Nothing may be done with them before the last is there: one that is invalid rejects them all.

        Raises:
            TooLarge: more than MAX_INSTANCES.
            MalformedJson, FieldError, InvalidFields, SchemaVersionError: as for one instance; the fields are
                called instances[i].field.
        """
        ids = set()
        for index, parsed in enumerate(self._parse_each(body)):
            try:
                instance = self.finish(parsed)
            except FieldError as error:
                raise FieldError(f"instances[{index}].{error.field}", error.value, error.expected) from None
            if instance.id in ids:
                raise FieldError(
                    f"instances[{index}].id", instance.id, "an id that no other instance here has"
                )
            ids.add(instance.id)
            yield instance

    def finish(self, parsed: ParsedInstance, earlier: FloatArray | None = None) -> Instance:
        """Cut the window.

        Args:
            parsed: of `read`.
            earlier: (m, fields), samples of the same entity from before, which stand in where those that
                were sent are too few. The payload holds them then, so that the answer can be found again.

        Raises:
            FieldError: too few, or too far apart.
        """
        payload = parsed.payload
        if parsed.samples is None:
            raw, filled = _fill_row(self._contract, parsed.values)
        else:
            samples = complete_samples(self._contract, earlier, parsed.samples)
            window = cut_window(self._contract, samples)
            if len(samples) > len(parsed.samples):
                payload = prepend_samples(self._contract, samples[: -len(parsed.samples)], payload)
            raw, filled = window.values, window.filled
        return Instance(parsed.id, parsed.entity, raw, payload, filled, parsed.number)

    def _parse_each(self, body: bytes) -> Iterator[ParsedInstance]:
        """Yield the instances of a batch; once one is invalid, the model of the whole batch says why."""
        members = _json_or_none(body)
        listed = members.get("instances") if isinstance(members, dict) and len(members) == 1 else None
        done = 0
        if isinstance(listed, list) and 0 < len(listed) <= MAX_INSTANCES:
            with suppress(ValidationError):
                for one in drain(listed):  # instances take the memory of the members that were read, not more
                    payload = to_json(one)
                    yield self._decode_samples(one, payload) or self._from_model(
                        self.model.model_validate(one), payload
                    )
                    done += 1
                return
        for members in self._validate_batch(body)[done:]:
            payload = members.model_dump_json(by_alias=True, exclude_unset=True).encode()
            yield self._from_model(members, payload)

    def _validate_batch(self, body: bytes) -> list[BaseModel]:
        try:
            parsed: list[BaseModel] = self._batch_model.model_validate_json(body).instances  # type: ignore[attr-defined]
        except ValidationError as error:
            if count := _excessive_count(error):
                raise TooLarge(f"instances: got {count}, expected at most {MAX_INSTANCES}") from None
            raise translate(self._contract, error, batch=True) from None
        return parsed

    def _decode_samples(self, members: Any, payload: bytes) -> ParsedInstance | None:
        """Return an instance with samples at a third of the model's time; None if the model has to check."""
        if self._samples is None or not isinstance(members, dict) or "samples" not in members:
            return None
        samples = self._samples.read(members["samples"])
        if samples is None:
            return None
        try:
            naming = self._naming_model.model_validate({k: v for k, v in members.items() if k != "samples"})
        except ValidationError:
            return None
        return ParsedInstance(*self._identify(naming), payload, samples=samples)

    def _from_model(self, members: Any, payload: bytes) -> ParsedInstance:
        if self._contract.window is None:
            return ParsedInstance(*self._identify(members), payload, values=self._values(members))
        # None becomes NaN, which `cut_window` takes for "not sent"
        values = chain.from_iterable(map(self._values, members.samples))
        count = len(members.samples) * len(self._contract.fields)
        samples = np.fromiter(values, np.float64, count).reshape(len(members.samples), -1)
        return ParsedInstance(*self._identify(members), payload, samples=samples)

    def _identify(self, naming: Any) -> tuple[str, int | None, str]:
        """Return id, number and entity of a `ParsedInstance`."""
        sent_id = naming.id
        id_ = self._new_id() if sent_id is None else str(sent_id)
        number = sent_id if isinstance(sent_id, int) else None
        if self._contract.entity == "id":
            return id_, number, id_
        entity = self._entity_members(naming)
        return id_, number, entity if isinstance(entity, str) else "/".join(entity)


def stack_raw(instances: Sequence[Instance]) -> FloatArray:
    """Return the raw batch, (n, *contract.raw_shape), of at least one instance."""
    return np.stack([instance.raw for instance in instances])


def _fill_row(
    contract: Contract, values: tuple[float | str | None, ...]
) -> tuple[FloatArray, dict[str, int]]:
    """Return a table row, (fields,), and how many values were filled by field."""
    row: list[float] = []
    filled: dict[str, int] = {}
    for spec, value in zip(contract.fields, values, strict=True):
        if value is None:
            row.append(_fill_value(spec, contract, row))
            filled[spec.name] = 1
        else:
            row.append(spec.categories.index(value) if isinstance(value, str) else value)
    return np.array(row, dtype=np.float64), filled


def _fill_value(spec: FieldSpec, contract: Contract, before: Sequence[float]) -> float:
    """Return the value of a field that was not sent; `before` has the values of the fields before it."""
    assert spec.fill is not None, "required fields are checked by the model"
    if spec.fill.constant is not None:
        return spec.fill.constant
    assert spec.fill.same_as is not None, "a table row has no derivatives"
    return before[contract.field_names.index(spec.fill.same_as)]


def _excessive_count(error: ValidationError) -> str | None:
    """Return how many instances were sent, if they are too many."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "too_long" and first["loc"] == ("instances",):
        return str(first["ctx"]["actual_length"] or "more")
    return None


def _json_or_none(body: bytes) -> Any:
    """Return the decoded body; None where it is no JSON."""
    try:
        return from_json(body, cache_strings="keys")
    except ValueError:
        return None
