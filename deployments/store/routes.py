"""Routing tables and audit events within a transaction. Writers take turns: reading first loses no update."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, insert, select, update

from deployments.domain.errors import Conflict
from deployments.domain.routing import ArmVersion, HeldBack, RoutingPolicy, RoutingTable
from deployments.store.sql.schema import audit_events, routing

_SEEDER = "start-up"


def read(connection: Connection, workload: str) -> RoutingTable | None:
    """Return the table of the workload; None until it has a policy."""
    row = _row(connection, workload)
    if row is None or row.policy is None:
        return None
    return RoutingTable(
        revision=row.revision,
        policy=_stored_policy(row.policy),
        arms=row.arms,
        shadows=row.shadows or {},
        previous=row.previous or {},
        held_back=row.held_back or {},
    )


def put_policy(
    connection: Connection,
    workload: str,
    policy: RoutingPolicy,
    actor: str,
    now: datetime,
    expected_revision: int | None,
) -> int:
    """Replace the policy, record the audit event, and return the new revision."""
    row = _row(connection, workload)
    present = row.revision if row else 0
    if expected_revision not in (None, present):
        raise Conflict(
            f"{workload}: the routing has revision {present}, not {expected_revision}: read it again"
        )
    content = policy.model_dump(mode="json")
    detail = {"from": row.policy if row else None, "to": content}
    return _change(connection, workload, row, {"policy": content}, "policy", actor, detail, now)


def seed_policy(connection: Connection, workload: str, policy: RoutingPolicy, now: datetime) -> int:
    """Put the policy where there is none, or another was seeded last; return the revision.

    So a change at run time survives a restart, and a change of the workload's file takes effect at one.
    """
    query = (
        select(audit_events.c.detail)
        .where(
            audit_events.c.workload == workload,
            audit_events.c.kind == "policy",
            audit_events.c.actor == _SEEDER,
        )
        .order_by(audit_events.c.seq.desc())
        .limit(1)
    )
    seeded = connection.scalar(query)
    # compared as policies: a setting that a later version knows besides is no change of the file
    if seeded is not None and _stored_policy(seeded["to"]) == policy:
        row = _row(connection, workload)
        assert row is not None, "what was seeded is there"
        return int(row.revision)
    return put_policy(connection, workload, policy, _SEEDER, now, None)


def put_arms(
    connection: Connection, workload: str, arms: Mapping[str, ArmVersion | None], actor: str, now: datetime
) -> int:
    """Set these arms, keep what they served as `previous`, and return the revision after."""
    row = _row(connection, workload)
    before = _versions(row, "arms")
    changed = _changes(before, arms)
    if not changed:
        return row.revision if row else 0
    replaced = {arm: before[arm] for arm in changed if arm in before}
    values = {"arms": _applied(before, changed), "previous": _versions(row, "previous") | replaced}
    return _change(connection, workload, row, values, "arms", actor, _detail(before, changed), now)


def put_shadows(
    connection: Connection, workload: str, shadows: Mapping[str, ArmVersion | None], actor: str, now: datetime
) -> int:
    """Set the shadows of these arms, and return the revision after."""
    row = _row(connection, workload)
    before = _versions(row, "shadows")
    changed = _changes(before, shadows)
    if not changed:
        return row.revision if row else 0
    values = {"shadows": _applied(before, changed)}
    return _change(connection, workload, row, values, "shadows", actor, _detail(before, changed), now)


def put_held_back(
    connection: Connection, workload: str, held_back: Mapping[str, HeldBack], actor: str, now: datetime
) -> int:
    """Set which champions do not serve, in place of those that were, and return the revision after."""
    row = _row(connection, workload)
    before = _versions(row, "held_back")
    content = {arm: one.model_dump(mode="json") for arm, one in held_back.items()}
    if content == before:
        return row.revision if row else 0
    detail = {"from": before, "to": content}
    return _change(connection, workload, row, {"held_back": content}, "held_back", actor, detail, now)


def record_audit_event(
    connection: Connection, workload: str, kind: str, actor: str, detail: Mapping[str, Any], now: datetime
) -> int:
    """Add an audit event, and return its cursor."""
    values = {"at": now, "workload": workload, "kind": kind, "actor": actor, "detail": dict(detail)}
    result = connection.execute(insert(audit_events).values(values).returning(audit_events.c.seq))
    return int(result.scalar_one())


def _stored_policy(content: Mapping[str, Any]) -> RoutingPolicy:
    """Return a policy of the store; one from before there were bounds is brought within them."""
    try:
        return RoutingPolicy.model_validate(content)
    except ValidationError as error:
        changed = deepcopy(dict(content))
        for one in reversed(error.errors(include_url=False)):
            _bring_within_bounds(changed, one)
        return RoutingPolicy.model_validate(changed)


def _bring_within_bounds(policy: Any, error: Any) -> None:
    """Set a number to the bound that it is beyond; a name that is none goes, with what it names."""
    *path, last = error["loc"]
    if last == "[key]":
        *path, last = path
    holder = policy
    for part in path:
        holder = holder[part]
    bounds = [bound for name, bound in error.get("ctx", {}).items() if name in ("ge", "le")]
    if bounds:
        holder[last] = bounds[0]
    elif error["type"].startswith("string_"):
        del holder[last]


def _row(connection: Connection, workload: str) -> Row[Any] | None:
    return connection.execute(select(routing).where(routing.c.workload == workload)).one_or_none()


def _versions(row: Row[Any] | None, column: str) -> dict[str, Any]:
    """Return the versions by arm as JSON; none where a database of an older version has null."""
    return dict(getattr(row, column) or {}) if row else {}


def _changes(before: Mapping[str, Any], wanted: Mapping[str, ArmVersion | None]) -> dict[str, Any]:
    """Return the versions that are not yet as wanted, as JSON; None takes out."""
    versions = {arm: version.model_dump(mode="json") if version else None for arm, version in wanted.items()}
    return {arm: version for arm, version in versions.items() if before.get(arm) != version}


def _applied(before: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    return {arm: version for arm, version in (before | changed).items() if version is not None}


def _detail(before: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    return {"from": {arm: before.get(arm) for arm in changed}, "to": dict(changed)}


def _change(
    connection: Connection,
    workload: str,
    row: Row[Any] | None,
    values: Mapping[str, Any],
    kind: str,
    actor: str,
    detail: Mapping[str, Any],
    now: datetime,
) -> int:
    revision = row.revision + 1 if row else 1
    content = {**values, "revision": revision, "updated_at": now}
    if row is None:
        connection.execute(insert(routing).values({"workload": workload, "arms": {}, **content}))
    else:
        connection.execute(update(routing).where(routing.c.workload == workload).values(content))
    record_audit_event(connection, workload, kind, actor, {**detail, "revision": revision}, now)
    return int(revision)
