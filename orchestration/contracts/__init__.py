"""What crosses a process boundary: dataclasses, enums, Protocols and names.

Annotations here are types, not strings (no `from __future__ import annotations`): pydantic cannot look names up in the
modules that the workflow sandbox has loaded.
"""
