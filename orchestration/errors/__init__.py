"""Failures, their kinds and their signatures."""
