"""Why a command does not do its work."""

from __future__ import annotations


class Refused(Exception):
    """What is wrong and how to fix it; `exit_status` is 2 unless the command has a reason for another."""

    def __init__(self, message: str, exit_status: int = 2) -> None:
        super().__init__(message)
        self.exit_status = exit_status
