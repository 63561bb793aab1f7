"""The parser of requests: from bytes to checked instances, by the contract's request model.

The model is made from the contract, so that requests are checked as `GET /schema` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic_core import to_json
from ulid_transform import ulid_now

from deployments.domain.ids import MAX_NAME_LENGTH
from deployments.domain.instances import FloatArray, Instance, ParsedInstance
from deployments.domain.samples import complete_samples, prepend_samples
from deployments.requests.json_bodies import MAX_INSTANCE_BYTES, PartCounts, expect_members, read_json
from deployments.requests.json_lists import Body, ListRules, read_list
from deployments.requests.sample_decoder import SampleDecoder
from deployments.requests.schema import (
    MAX_INSTANCES,
    entity_attribute,
    field_attribute,
    instance_model,
    naming_model,
)
from deployments.requests.validation_errors import translate, within
from deployments.runtime.process_memory import drain
from features.contract import Contract, FieldSpec
from features.errors import FieldError, InvalidInput
from features.windows import cut_window

# Unknown members of an object that are still told one by one; the model takes its time for each.
_MOST_UNKNOWN = 100


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
        self._rules = _batch_rules(contract)
        self._most_members = len(contract.fields) + len(contract.entity_names) + _MOST_UNKNOWN
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
        self._rules.parts.check(body)
        return self._read_members(read_json(body), body)

    def parse_batch(self, body: Body) -> Iterator[Instance]:
        """Yield the instances of `read_batch`."""
        return (instance for instance in self.read_batch(body) if instance is not None)

    def read_batch(self, body: Body) -> Iterator[Instance | None]:
        """Yield the instances of `{"instances": [...]}` in their order; None where others may have a turn.

        Nothing may be done with them before the last is there: one that is invalid rejects them all.

        Raises:
            TooLarge: more than MAX_INSTANCES, or one of more than MAX_INSTANCE_BYTES.
            MalformedJson, FieldError, InvalidFields, SchemaVersionError: as for one instance; the fields are
                called instances[i].field. Reading ends at the first instance that is wrong.
        """
        ids: set[str] = set()
        index = 0
        for items in read_list(body, self._rules):
            yield None
            for members, text in drain(items):
                try:
                    instance = self.finish(self._read_members(members, text or to_json(members)))
                    if instance.id in ids:
                        raise FieldError("id", instance.id, "an id that no other instance here has")
                except InvalidInput as error:
                    raise within(error, f"instances[{index}]") from None
                ids.add(instance.id)
                yield instance
                index += 1

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
        return Instance(parsed.id, parsed.entity, raw, payload, filled, parsed.number, parsed.id_was_sent)

    def _read_members(self, members: Any, payload: bytes) -> ParsedInstance:
        parsed = self._decode_samples(members, payload)
        if parsed is not None:
            return parsed
        self._check_members(members)
        try:
            return self._from_model(self.model.model_validate(members), payload)
        except ValidationError as error:
            raise translate(self._contract, error) from None

    def _check_members(self, members: Any) -> None:
        """Refuse objects of many more members than there are, of which the model would name each."""
        if not isinstance(members, dict):
            return
        expect_members(members, self._most_members)
        samples = members.get("samples") if self._contract.window else None
        for number, sample in enumerate(samples if isinstance(samples, list) else ()):
            expect_members(sample, self._most_members, f"samples[{number}]")

    def _decode_samples(self, members: Any, payload: bytes) -> ParsedInstance | None:
        """Return an instance with samples at a third of the model's time; None if the model has to check."""
        if self._samples is None or not isinstance(members, dict) or "samples" not in members:
            return None
        if len(members) > self._most_members:
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

    def _identify(self, naming: Any) -> tuple[str, int | None, str, bool]:
        """Return the first members of a `ParsedInstance`."""
        sent_id = naming.id
        was_sent = sent_id is not None
        id_ = str(sent_id) if was_sent else self._new_id()
        number = sent_id if isinstance(sent_id, int) else None
        if self._contract.entity == "id":
            return id_, number, id_, was_sent
        entity = self._entity_members(naming)
        return id_, number, entity if isinstance(entity, str) else "/".join(entity), was_sent


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


def _batch_rules(contract: Contract) -> ListRules:
    """Return the rules of a batch of this contract's instances."""
    fields, names = len(contract.fields), 2 + len(contract.entity_names)
    parts = names + (1 + contract.window.max_samples * (1 + fields) if contract.window else fields)
    words = [max(map(len, spec.categories), default=0) for spec in contract.fields]
    return ListRules(
        "instances",
        "a list of at least one instance",
        MAX_INSTANCES,
        MAX_INSTANCE_BYTES,
        PartCounts(parts, names * MAX_NAME_LENGTH + sum(words)),
    )
