"""Parses the text of a definition into a Definition, or into the list of all its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from orchestration.definitions import checks
from orchestration.definitions.checks import ErrorList
from orchestration.definitions.expressions import Part
from orchestration.definitions.models import DEFINITION_TYPES, AnyDefinition, Definition
from orchestration.definitions.reference_checks import check_references
from orchestration.definitions.size_checks import check_carried, check_size
from orchestration.definitions.source_tree import DefinitionErrors, Tree, read, source_error
from orchestration.definitions.target_checks import check_targets
from orchestration.plan.plan import Plan
from orchestration.processors.processor import Processor

_DEFINITIONS: TypeAdapter[Any] = TypeAdapter(AnyDefinition)


def parse(
    text: str, processors: Mapping[str, Processor], *, is_new: bool = False, to_launch: bool = True
) -> Definition:
    """Parse a definition in YAML or JSON; one that `is_new`, and not stored yet, may contain no credentials.

    One that is only read may start workflows that the installation allows no longer. Raises DefinitionErrors, and
    nothing else.
    """
    root = read(text)
    kind = _kind_of(root)
    errors = ErrorList()
    if not check_size(root, kind, errors):
        raise DefinitionErrors(errors.errors)
    _recommend_plans(root, kind, processors)
    definition: Definition | None = None
    try:
        definition = _DEFINITIONS.validate_python(root.plain())
    except ValidationError as error:
        checks.report(error, root, "", errors, known=_known_keys(), tags=1)
    checks.check_names(root, kind, errors)
    if to_launch:
        check_targets(root, kind, errors)
    if definition is not None and to_launch:
        check_carried(definition, root, errors)
    checks.check_processors(root, kind, processors, errors, is_new=is_new)
    checks.check_inputs(root, kind, processors, errors)
    check_references(root, kind, processors, errors)
    if errors.errors or definition is None:
        raise DefinitionErrors(errors.errors)
    return definition


def _kind_of(root: Tree) -> str:
    kinds = ", ".join(DEFINITION_TYPES)
    if not isinstance(root.value, dict):
        raise source_error(root.mark, f"A definition is a mapping (key: value) with a kind: {kinds}.")
    kind = root.get("kind")
    if kind is None:
        raise source_error(root.mark, f'"kind" is missing. It is one of: {kinds}.')
    if not isinstance(kind.value, str) or kind.value not in DEFINITION_TYPES:
        raise source_error(kind.mark, f"There is no such kind. It is one of: {kinds}.")
    return str(kind.value)


def _recommend_plans(root: Tree, kind: str, processors: Mapping[str, Processor]) -> None:
    """Fill in the processors' default plans for options that the text does not set."""
    for work, path in checks.work_nodes(root, kind):
        processor = processors.get(work.text("processor") or "")
        if processor is None or not processor.default_plan or not (kind == "pipeline" or path.endswith(".fan_out")):
            continue
        plan = work.value.setdefault("plan", Tree(work.mark, {}))
        for name, value in processor.default_plan.items():
            if isinstance(plan.value, dict):
                plan.keys.setdefault(name, plan.mark)
                plan.value.setdefault(name, Tree(plan.mark, value))


@cache
def _known_keys() -> dict[str, frozenset[str]]:
    """Return every key that any part of a definition may have, with the keys that it may stand below."""
    found = {name: frozenset({"plan"}) for name in Plan.model_fields}
    owners = dict[type[Part], set[str]]()
    for model in _models(Part):
        for name, field in model.model_fields.items():
            for part in _parts_in(field.annotation):
                owners.setdefault(part, set()).add(field.alias or name)
    for model in _models(Part):
        for name, field in model.model_fields.items():
            key = field.alias or name
            found[key] = found.get(key, frozenset()) | owners.get(model, set())
    return found


def _parts_in(annotation: Any) -> Iterator[type[Part]]:
    """Yield the parts that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for each in get_args(annotation):
        yield from _parts_in(each)


def _models(model: type[Part]) -> Iterator[type[Part]]:
    for each in model.__subclasses__():
        yield each
        yield from _models(each)
