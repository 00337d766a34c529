"""Timetables and the launches stored in them."""
