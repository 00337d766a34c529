"""Clocks of other hosts, compared with this one's."""

from __future__ import annotations

from dashboard.preflight.findings import Finding, fail, ok, warn

NOTICED = 1.0
"""Seconds of difference that people notice in times of the log."""

HARMFUL = 30.0
"""Seconds beyond which sessions, API tokens and timeouts of one host make no sense on another."""

FIX = "Let all hosts set their clocks by NTP."


def clock_finding(whose: str, ahead: float, precision: float) -> Finding:
    """Return what to say of a clock that is ahead of ours by so many seconds; a difference within precision is none."""
    subject, apart = "clock", max(0.0, abs(ahead) - precision)
    if apart < NOTICED:
        return ok(subject, f"{whose} and this host agree within {max(precision, 0.1) + apart:.1f} s.")
    message = f"The clock of {whose} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this host's."
    return (fail if apart >= HARMFUL else warn)(subject, message, FIX)
