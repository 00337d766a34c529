"""The old import path of `orchestration.testing`, kept for one release."""

from __future__ import annotations

import importlib
import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    """Return what `orchestration.testing` has by that name, and warn of the old path."""
    warnings.warn("orchestration.processors.testing is now orchestration.testing.", DeprecationWarning, stacklevel=2)
    return getattr(importlib.import_module("orchestration.testing"), name)
