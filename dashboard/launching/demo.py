"""The demo batch: a first one to look at, launched without filling in a form."""

from __future__ import annotations

from django.utils.translation import gettext as _

from dashboard.accounts.permissions import Person
from dashboard.inputs.source import Format, Source
from dashboard.inputs.survey import good_rows, survey
from dashboard.launching.launch import launch
from dashboard.launching.request import Launched, LaunchRequest
from orchestration.plan.plan import Plan
from orchestration.processors.builtin.simulate import SimulateParameters
from orchestration.processors.catalogue import get_processor

ITEMS = 60
PROCESSOR = "simulate"
PARAMETERS = SimulateParameters(seconds_from=0.5, seconds_to=3, fail_percent=10)
PLAN = Plan(window=10, item_attempts=1)


def launch_demo(person: Person) -> Launched:
    """Launch a batch of simulated items, some of which fail. Raises PermissionDenied."""
    processor, source = get_processor(PROCESSOR), Source(Format.COUNT, count=ITEMS)
    found = survey(source, processor, limit=ITEMS)
    request = LaunchRequest(
        processor=processor.name,
        parameters=PARAMETERS.model_dump(mode="json"),
        plan=PLAN,
        count=found.good,
        rows=lambda: good_rows(source, processor, set()),
        digest=found.digest,
        label=_("Demo"),
        source={"kind": str(source.format), "upload": None, "name": "", "key": "", "left_out": 0},
    )
    return launch(person, request)
