"""Tests of the store and the events of workers elsewhere."""
