"""What running items say of themselves, for the row of their child."""

from __future__ import annotations

from orchestration.errors.texts import visible
from orchestration.processors.secrets import mask

STATUS_LIMIT = 300


class ItemStatuses:
    """Texts by the keys of items. Threads may set them."""

    def __init__(self) -> None:
        self._texts = dict[str, str]()

    @property
    def newest(self) -> str:
        """The text that was set last, with the item's key."""
        try:
            key, text = next(reversed(self._texts.items()))
        except (StopIteration, RuntimeError):  # none is set, or a thread is setting one
            return ""
        return f"{key}: {text}"[:STATUS_LIMIT]

    def set(self, key: str, text: str) -> None:
        """Set the text of an item."""
        self._texts.pop(key, None)
        self._texts[key] = visible(mask(text))

    def forget(self, key: str) -> None:
        """Take the text of an item away."""
        self._texts.pop(key, None)
