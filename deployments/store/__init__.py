"""The durable record of predictions, truths, routing and audit events, and the writer behind the answers."""

from deployments.store.journal import JournalWriter
from deployments.store.migrations.upgrade import StoreTooNew
from deployments.store.records import (
    AuditEvent,
    FeedbackCounts,
    JoinedRow,
    LabelledRow,
    PredictionRecord,
    ShadowPair,
    ShadowRow,
    StoreCounts,
    Truth,
)
from deployments.store.sql.engine import StoreEncoding, StoreIncompatible, StoreUnavailable
from deployments.store.store import Store

__all__ = [
    "AuditEvent",
    "FeedbackCounts",
    "JoinedRow",
    "JournalWriter",
    "LabelledRow",
    "PredictionRecord",
    "ShadowPair",
    "ShadowRow",
    "Store",
    "StoreCounts",
    "StoreEncoding",
    "StoreIncompatible",
    "StoreTooNew",
    "StoreUnavailable",
    "Truth",
]
