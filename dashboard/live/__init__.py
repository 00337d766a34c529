"""Rows become deltas on a websocket."""
