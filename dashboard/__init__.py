"""Canopy's web side: Django pages, API, live view, and the record of every batch."""
