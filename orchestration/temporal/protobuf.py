"""Conversions of protobuf's own types."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def to_datetime(timestamp: Timestamp) -> datetime:
    """Return a timestamp as an aware datetime in UTC."""
    return timestamp.ToDatetime(tzinfo=UTC)
