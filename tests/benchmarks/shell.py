"""Runs functions of `in_django` through `manage.py shell`, for a process that has no Django."""

from __future__ import annotations

from tests.support.stack import Stack


def shell_command(call: str) -> tuple[str, ...]:
    """Return the management command that prints what a call returns: shell_command("queries_of_page('b1')")."""
    return "shell", "--verbosity", "0", "--command", f"from tests.benchmarks.in_django import *; print({call})"


def run_in_django(stack: Stack, call: str) -> str:
    """Return what a call returned, as text, with the database of a stack."""
    return stack.manage(*shell_command(call)).split()[-1]
