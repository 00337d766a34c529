"""Durations as people enter them: a number and its unit, stored as seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from dashboard.forms.stored_values import StoredField
from dashboard.i18n.formatting import UNITS, in_unit, quantity

UNIT = ".unit"
"""Suffix of a field's name in the name of its unit. No field's name contains a dot."""


@dataclass(frozen=True)
class Quantity:
    """A number as it is typed, and its unit; without one it is seconds, as scripts and older pages send it."""

    number: str
    unit: str = "s"


class DurationInput(forms.NumberInput):
    """A number and a choice of its unit."""

    def __init__(self, attrs: Any = None) -> None:
        super().__init__({"step": "any", "min": "0"} | (attrs or {}))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return what was typed."""
        return Quantity(str(data.get(name) or "").strip(), str(data.get(f"{name}{UNIT}") or "s"))

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the two inputs."""
        typed = value if isinstance(value, Quantity) else Quantity("" if value is None else str(value))
        units = forms.Select(
            {"aria-label": _("Unit")}, choices=[(unit, title) for unit, (_size, title) in UNITS.items()]
        )
        return format_html(
            '<span class="quantity">{}{}</span>',
            super().render(name, typed.number, attrs, renderer),
            units.render(f"{name}{UNIT}", typed.unit, None, renderer),
        )

    def parts(self, name: str, shown: Any) -> dict[str, str]:
        """Return what a browser sends of a value that is shown."""
        if not isinstance(shown, Quantity):
            return {name: str(shown)}
        return {name: shown.number, f"{name}{UNIT}": shown.unit}


class Seconds(StoredField, forms.FloatField):
    """A duration in seconds, more than `above`, at least `least`, and at most `most`."""

    widget = DurationInput

    def __init__(
        self, *, above: float | None = None, least: float | None = None, most: float | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.above, self.least, self.most = above, least, most

    def show(self, value: Any) -> Any:
        """Return a number and the largest unit of which it is a whole number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Quantity("" if value is None else str(value))
        number, unit = in_unit(value)
        return Quantity(repr(number) if isinstance(number, float) else str(number), unit)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another duration was entered."""
        return bool(self.prepare_value(initial) != data)

    def clean(self, value: Any) -> Any:
        """Return seconds, None, or LEFT_OUT. Raises ValidationError."""
        typed = value if isinstance(value, Quantity) else Quantity("" if value is None else str(value))
        if not typed.number:
            return super().clean("")
        if typed.unit not in UNITS:
            raise forms.ValidationError(_("Choose a unit."))
        number: float = forms.FloatField().clean(typed.number)
        size = UNITS[typed.unit][0]
        return super().clean(number if size == 1 else round(number * size, 6))

    def run_validators(self, value: Any) -> None:
        """Say the limits in their own units."""
        if value in self.empty_values:
            return
        if self.above is not None and value <= self.above:
            raise forms.ValidationError(_("Enter more than %(limit)s.") % {"limit": quantity(self.above)})
        if self.least is not None and value < self.least:
            raise forms.ValidationError(_("Enter %(limit)s or more.") % {"limit": quantity(self.least)})
        if self.most is not None and value > self.most:
            raise forms.ValidationError(_("Enter %(limit)s or less.") % {"limit": quantity(self.most)})
