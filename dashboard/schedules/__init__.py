"""Schedules: their timetable, the launch that they store, and the actions on them."""
