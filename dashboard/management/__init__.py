"""Management commands, and modules that only they use."""
