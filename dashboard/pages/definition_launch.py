"""Context of the page that launches a saved definition."""

from __future__ import annotations

from dataclasses import dataclass

from django.forms import BoundField
from django.utils.translation import gettext as _

from dashboard.forms.model_forms import ModelForm
from dashboard.launching.definition_request import FLOW_OPTIONS, definition_request
from dashboard.launching.request import LaunchRequest
from dashboard.models import DefinitionVersion
from dashboard.pages.definitions import Preview
from orchestration.plan.plan import Plan


@dataclass
class DefinitionLaunchPage:
    """Context of the launch of a saved definition."""

    version: DefinitionVersion
    preview: Preview
    plan: ModelForm
    label: str
    key: str
    may_operate: bool

    @property
    def options(self) -> list[BoundField]:
        """The fields of the plan that apply to a flow."""
        return [self.plan[name] for name in FLOW_OPTIONS]

    @property
    def refusal(self) -> str:
        """Why it cannot be launched; empty if it can."""
        if self.preview.checked.definition is not None:
            return ""
        return _("This version is no longer valid: processors have changed since it was saved.")

    @property
    def is_valid(self) -> bool:
        """Whether it can be launched with the submitted form."""
        return not self.refusal and self.plan.is_valid()

    def request(self) -> LaunchRequest:
        """Return the launch request of a valid page."""
        assert isinstance(self.plan.model, Plan)
        return definition_request(self.version, self.plan.model, self.label, f"{self.key}:definition", "form")
