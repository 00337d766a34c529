"""Management commands and what only they need."""
