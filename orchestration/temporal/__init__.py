"""Adapters of the Temporal SDK: connection, data converter, heartbeat."""
