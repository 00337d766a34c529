"""Why a backup cannot be made, read or brought back."""

from __future__ import annotations


class BackupError(Exception):
    """What went wrong, for a person, and what to do about it. Nothing was changed."""


class BadBackup(BackupError):
    """A file that is no whole backup: it was cut off, changed, or is something else."""
