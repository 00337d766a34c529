"""The examples below a command's help."""

from __future__ import annotations


def examples(*lines: tuple[str, str], title: str = "Examples") -> str:
    """Return an epilog of commands, each below what it does. The mark has typer keep the line breaks."""
    text = [f"  # {about}\n  {command}" for about, command in lines]
    return "\b\n" + f"{title}:\n" + "\n".join(text)
