"""Schedules: their timetable, the launch that they store, and what a person does to them."""
