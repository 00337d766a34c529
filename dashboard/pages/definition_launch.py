"""Context of the page that launches a saved definition."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.forms import BoundField
from django.http import HttpRequest
from django.utils.translation import gettext as _

from dashboard.accounts.permissions import may_operate
from dashboard.definitions.saving import check
from dashboard.forms.plan_form import plan_form
from dashboard.forms.pydantic_forms import PydanticForm
from dashboard.launching.definition_request import FLOW_OPTIONS, definition_request
from dashboard.launching.request import LaunchRequest
from dashboard.models import DefinitionVersion, Schedule
from dashboard.pages.definitions import Preview
from dashboard.pages.problems import Problem, problems_of
from orchestration.plan.plan import Plan


@dataclass
class DefinitionLaunchPage:
    """Context of the launch of a saved definition."""

    version: DefinitionVersion
    preview: Preview
    plan: PydanticForm
    label: str
    key: str
    may_operate: bool
    schedule: Schedule | None = None
    """The schedule whose launch is edited, if nothing is launched now."""

    @property
    def options(self) -> list[BoundField]:
        """The fields of the plan that apply to a flow."""
        return [self.plan[name] for name in FLOW_OPTIONS]

    @property
    def problems(self) -> list[Problem]:
        """What has to be fixed before it can be launched."""
        return problems_of(self.plan, FLOW_OPTIONS)

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


def definition_launch_page(
    request: HttpRequest, version: DefinitionVersion, schedule: Schedule | None = None
) -> DefinitionLaunchPage:
    """Return the launch page of a definition without items, bound to the form if it was submitted."""
    is_post, stored = request.method == "POST", schedule.request if schedule is not None else {}
    return DefinitionLaunchPage(
        version=version,
        preview=Preview(check(version.text)),
        plan=plan_form(request.POST if is_post else None, initial=stored.get("plan")),
        label=request.POST.get("label", stored.get("label") or version.definition.name)[:200],
        key=request.POST.get("idempotency_key", "")[:64] or secrets.token_urlsafe(12),
        may_operate=may_operate(request.user),
        schedule=schedule,
    )
