"""Steering: batches of every kind that are acted on in some state, and the comparison of their rows with Temporal."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from dashboard.definitions.saving import create
from dashboard.inputs.rows import InputRow
from dashboard.launching.definition_request import LaunchItems, definition_request
from dashboard.launching.launch import launch
from dashboard.launching.request import LaunchRequest
from dashboard.models import Batch, Upload
from orchestration.contracts.workflow_ids import root_id
from orchestration.plan.plan import Plan
from tests.support.flows import steps, work
from tests.support.probe import Probe

UNITS = ("a", "b", "c")
"""Items of a fan-out, or steps of a flow. The first of a fan-out fails, the second is held at work, the third waits."""

PLAN = {"chunk_size": 1, "window": 1, "item_attempts": 1, "item_timeout": 600}

HELD = {"failure_policy": "fail_fast", "on_threshold": "hold"}
"""Options of a fan-out that is held once its first item has failed."""

CONTINUED = "continued as new"
FILLERS = 8

Definition = Callable[[Probe, Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """A way to execute a batch: the options of its plan, or a definition over a probe and such options."""

    plan: Mapping[str, Any] = field(default_factory=dict)
    definition: Definition | None = None
    has_items: bool = True
    units: Sequence[str] = UNITS


def _steps(probe: Probe, plan: Mapping[str, Any]) -> dict[str, Any]:
    gate = {"name": "gate", "approval": {"title": "Go on?", "timeout": 600}}
    runs = [{"name": name, "run": work(probe)} for name in UNITS]
    return steps(*([gate] if plan else []), *runs)


def _fan_out(probe: Probe, plan: Mapping[str, Any]) -> dict[str, Any]:
    return steps({"name": "all", "fan_out": {**work(probe), "plan": {**PLAN, **plan}, "items": list(UNITS)}})


def _saga(probe: Probe, plan: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "saga", "steps": [{"name": name, **work(probe), "compensation": work(probe)} for name in UNITS]}


def _item_saga(probe: Probe, plan: Mapping[str, Any]) -> dict[str, Any]:
    step = {"name": "one", **work(probe), "compensation": work(probe)}
    return {"kind": "saga", "fan_out": True, "steps": [step], "plan": {**PLAN, **plan}}


def _services(probe: Probe, plan: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "services", "services": [{"name": name, **work(probe)} for name in UNITS]}


def _pipeline(probe: Probe, plan: Mapping[str, Any]) -> dict[str, Any]:
    stage = {**work(probe), "plan": {**PLAN, **plan}}
    return {"kind": "pipeline", "stages": [{"name": name, **stage} for name in ("first", "second")]}


KINDS = {
    "chunks": Kind(),
    "activities": Kind({"execution": "activities"}),
    "local activities": Kind({"execution": "local_activities"}),
    "no children": Kind({"execution": "no_children"}),
    "pool": Kind({"execution": "pool"}),
    "entities": Kind({"execution": "entities", "entity_field": "account", "entity_continue_after": 2}),
    "resources": Kind({"resource_field": "id"}),
    "pages": Kind({"paged": True, "page_children": 1}),
    "sagas of items": Kind(definition=_item_saga, units=("one 0", "one 1", "one 2")),
    "pipeline": Kind(definition=_pipeline),
    "steps": Kind(definition=_steps, has_items=False),
    "steps with a fan-out": Kind(definition=_fan_out, has_items=False),
    "saga": Kind(definition=_saga, has_items=False),
    "services": Kind(definition=_services, has_items=False),
}


@dataclass
class Cell:
    """One batch of the matrix: its kind, the state in which somebody acts on it, what is done, and by which way."""

    kind: str
    state: str
    action: str
    way: str
    probe: Probe = field(default_factory=Probe)
    batch: Batch = field(default_factory=Batch)
    refusal: str = ""

    def __str__(self) -> str:
        return f"{self.kind}, {self.state}: {self.action} by {self.way}"

    @property
    def root(self) -> str:
        """The workflow id of its root."""
        return root_id(self.batch.pk)

    def fresh(self) -> Batch:
        """Return its batch as the rows show it now."""
        return Batch.objects.get(pk=self.batch.pk)

    def launch(self, person: User) -> None:
        """Launch it."""
        made, mark = KINDS[self.kind], secrets.token_hex(6)
        options = HELD if self.state == "held" else {}
        plan = Plan.model_validate({**PLAN, **options, **made.plan})
        rows = [InputRow(name, {"id": f"{mark}-{name}", "account": mark}) for name in self._items]
        if made.definition is not None:
            version = create(person, f"{self.kind} {mark}", json.dumps(made.definition(self.probe, options)))
            items = LaunchItems(len(rows), lambda: iter(rows), mark)
            request = definition_request(version, Plan(item_attempts=1, item_timeout=600), "", None, "api", items)
        else:
            parameters = {"probe": self.probe.name}
            request = LaunchRequest("probe", parameters, plan, len(rows), lambda: iter(rows), mark)
        if plan.paged:
            request = replace(request, count=0, source=_uploaded(person, rows))
        self.batch = launch(person, request).batch

    @property
    def _items(self) -> list[str]:
        """Keys of its items: where it continues as new, enough others for that come before the one that is held."""
        if not KINDS[self.kind].has_items:
            return []
        fillers = [f"filler-{number}" for number in range(FILLERS)] if self.state == CONTINUED else []
        return [UNITS[0], *fillers, *UNITS[1:]]


def _uploaded(person: User, rows: Sequence[InputRow]) -> dict[str, Any]:
    """Return the source of a batch that reads rows while it runs."""
    content = "".join(json.dumps({"key": row.key, **row.data}) + "\n" for row in rows).encode()
    upload = Upload(name="rows.jsonl", size=len(content), sha256="", uploaded_by=person)
    upload.file.save("rows.jsonl", ContentFile(content), save=True)
    return {"kind": "jsonl", "upload": upload.pk, "key": "key"}
