"""Saved definitions and their versions: saving, stages, examples."""
