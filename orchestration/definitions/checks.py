"""Checks beyond the models: names, processors and their parameters.

They work on the source tree even where the models reject it, so that all errors are reported at once. References are
checked by `reference_checks`, nesting and size by `size_checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from orchestration.definitions.models import MAX_DEPTH
from orchestration.definitions.source_tree import MAX_ERRORS, DefinitionError, Mark, Tree
from orchestration.definitions.steps import STEP_TAGS
from orchestration.errors.texts import named
from orchestration.processors.processor import Processor

PATH_SHOWN = 300
MESSAGE_SHOWN = 500

MOST_COMPARED = 100
LONGEST_COMPARED = 40
"""Names, and their characters, that are compared with one that is unknown, to say what may be meant."""

LISTS = {"pipeline": "stages", "services": "services", "saga": "steps", "steps": "steps"}
"""The key of each kind's parts."""

BRANCHES = (("parallel",), ("then",), ("else",), ("loop", "steps"), ("refused",))
"""The keys under which a step has steps of its own."""


@dataclass
class ErrorList:
    """Errors found so far, up to MAX_ERRORS."""

    errors: list[DefinitionError] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether further errors would be dropped."""
        return len(self.errors) >= MAX_ERRORS

    def add(self, mark: Mark, path: str, message: str) -> None:
        """Add an error."""
        self.errors.append(DefinitionError(mark.line, mark.column, path[:PATH_SHOWN], message[:MESSAGE_SHOWN]))


@dataclass(frozen=True)
class SourcePart:
    """A stage, service or step in the source, with its path. `depth` is 1 for the outermost, and grows with nesting."""

    tree: Tree
    path: str
    depth: int = 1

    @property
    def name(self) -> str:
        """Its name; "" where it has none."""
        return self.tree.text("name") or ""

    @property
    def kind(self) -> str:
        """Kind of a step, one of STEP_TAGS; "" where ambiguous or missing."""
        found = [each for each in STEP_TAGS if self.tree.get(each) is not None]
        return found[0] if len(found) == 1 else ""

    def branch(self, keys: tuple[str, ...]) -> list[SourcePart]:
        """Return the steps in one of BRANCHES."""
        holder: Tree | None = self.tree
        for key in keys[:-1]:
            holder = holder.get(key) if holder is not None else None
        path = ".".join((self.path, *keys))
        entries = holder.entries(keys[-1]) if holder is not None else []
        return [SourcePart(tree, f"{path}[{index}]", self.depth + 1) for index, tree in enumerate(entries)]


def parts_of(root: Tree, kind: str) -> list[SourcePart]:
    """Return the outermost stages, services or steps."""
    name = LISTS.get(kind, "")
    return [SourcePart(tree, f"{name}[{index}]") for index, tree in enumerate(root.entries(name))]


def all_parts(root: Tree, kind: str) -> Iterator[SourcePart]:
    """Yield every stage, service or step in source order; of steps nested too deeply not those within."""
    stack = parts_of(root, kind)[::-1]
    while stack:
        place = stack.pop()
        yield place
        if kind == "steps" and place.depth <= MAX_DEPTH:
            below = [step for keys in BRANCHES for step in place.branch(keys)]
            stack.extend(below[::-1])


def check_names(root: Tree, kind: str, errors: ErrorList) -> None:
    """Check that names are unique."""
    first = dict[str, Mark]()
    for place in all_parts(root, kind):
        name = place.tree.get("name")
        if name is None or not place.name:
            continue
        if place.name in first:
            message = f'The name "{place.name}" is used twice, first in line {first[place.name].line}.'
            errors.add(name.mark, f"{place.path}.name", message)
        first.setdefault(place.name, name.mark)


def work_nodes(root: Tree, kind: str) -> Iterator[tuple[Tree, str]]:
    """Yield every mapping that names a processor, with its path."""
    if kind in ("pool", "entity"):
        yield root, ""
    for place in all_parts(root, kind):
        if kind != "steps":
            yield place.tree, place.path
        for key in ("compensation",) if kind == "saga" else ("run", "fan_out"):
            if (work := place.tree.get(key)) is not None:
                yield work, f"{place.path}.{key}"


def check_processors(
    root: Tree, kind: str, processors: Mapping[str, Processor], errors: ErrorList, *, is_new: bool
) -> None:
    """Check processors and their parameters, those of a definition that `is_new` for credentials too."""
    for work, path in work_nodes(root, kind):
        if errors.is_full:
            return
        if (name := work.get("processor")) is None or not isinstance(name.value, str) or not name.value:
            continue
        processor = processors.get(name.value)
        if processor is None:
            message = f'There is no processor "{name.value}". {_near(name.value, processors)}'
            errors.add(name.mark, _join(path, "processor"), message)
            continue
        if processor.child_workflow:
            message = f"{processor.name} uses its own type of children: launch it on its own."
            errors.add(name.mark, _join(path, "processor"), message)
        _check_rollback(processor, work, path, errors)
        validate = processor.accept_parameters if is_new else processor.validate_parameters
        _check_data(validate, work, path, "parameters", errors)


def _check_rollback(processor: Processor, work: Tree, path: str, errors: ErrorList) -> None:
    plan = work.get("plan")
    said = plan.get("on_threshold") if plan is not None else None
    if said is not None and said.value == "roll_back" and processor.compensation is None:
        message = f"{processor.name} has no compensation, so it cannot be rolled back."
        errors.add(said.mark, _join(_join(path, "plan"), "on_threshold"), message)


def check_inputs(root: Tree, kind: str, processors: Mapping[str, Processor], errors: ErrorList) -> None:
    """Check the inputs without references, which are known before a run."""
    for work, path in work_nodes(root, kind):
        processor = processors.get(work.text("processor") or "")
        if processor is None or kind in ("pipeline", "pool", "entity") or path.endswith("fan_out"):
            continue
        given = work.get("input")
        of_item = given is None and kind == "saga" and _is_true(root.get("fan_out"))
        if not of_item and not (given is not None and _has_reference(given)):
            _check_data(processor.validate_item, work, path, "input", errors)


def _check_data(
    validate: Callable[[Mapping[str, Any]], object], work: Tree, path: str, key: str, errors: ErrorList
) -> None:
    given = work.get(key)
    if given is not None and not isinstance(given.value, dict):
        return  # the definition's own model says so
    data = given if given is not None else Tree(work.mark, {})
    try:
        validate(data.plain())
    except ValidationError as error:
        report(error, data, _join(path, key), errors)
    except Exception as error:  # a processor's own validator may raise anything
        errors.add(data.mark, _join(path, key), f"Could not be checked: {named(error)}")


def report(
    error: ValidationError,
    tree: Tree,
    path: str,
    errors: ErrorList,
    *,
    known: Mapping[str, frozenset[str]] = MappingProxyType({}),
    tags: int = 0,
) -> None:
    """Add a model's errors at their places in the source. `tags`: number of union tags around the whole."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    for problem in problems[:MAX_ERRORS]:
        loc = problem["loc"][tags:]
        mark, where, at = _locate(tree, path, loc)
        if problem["type"] == "too_short" and at.value:
            continue  # its entries have errors of their own
        errors.add(mark, where, _words(problem["type"], problem["msg"], loc, at, known))


def _locate(tree: Tree, path: str, loc: tuple[int | str, ...]) -> tuple[Mark, str, Tree]:
    """Follow a model's path into the source as far as possible; union tags are not in it."""
    mark = tree.mark
    for part in loc:
        if isinstance(part, int) and isinstance(tree.value, list) and part < len(tree.value):
            tree, path = tree.value[part], f"{path}[{part}]"
            mark = tree.mark
        elif isinstance(part, str) and isinstance(tree.value, dict) and part in tree.value:
            mark, tree, path = tree.keys[part], tree.value[part], _join(path, part)
    return mark, path, tree


def _words(kind: str, message: str, loc: tuple[int | str, ...], at: Tree, known: Mapping[str, frozenset[str]]) -> str:
    last = str(loc[-1]) if loc else ""
    if kind == "missing":
        return f'"{last}" is missing.'
    if kind == "extra_forbidden":
        return f'Unknown key "{last}". {_meant(last, known)}'.strip()
    if kind == "step" and isinstance(at.value, dict):
        odd = [key for key in at.value if key not in known][:3]
        return " ".join([message, *(f'Unknown key "{key}". {_meant(key, known)}'.strip() for key in odd)])
    if kind in ("tuple_type", "list_type"):
        return "A list is required here."
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return "A mapping (key: value) is required here."
    if kind == "string_pattern_mismatch" and last == "name":
        return "A name may contain only letters, digits, - and _, and must start with a letter or a digit."
    if kind == "too_short":
        return "At least one is required."
    return message.removeprefix("Value error, ").removesuffix(".") + "."


def near(word: str, known: Iterable[str]) -> str:
    """Return the name most like a word; empty where none is, and for what is too long or too many to compare."""
    names = [name for name in islice(known, MOST_COMPARED) if len(name) <= LONGEST_COMPARED]
    found = get_close_matches(word, names, n=1) if len(word) <= LONGEST_COMPARED else []
    return found[0] if found else ""


def _meant(word: str, known: Mapping[str, frozenset[str]]) -> str:
    if word in known:
        places = " or ".join(f'"{each}"' for each in sorted(known[word]))
        return f"It belongs below {places}." if places else "It belongs at the top."
    name = near(word, sorted(known))
    return f'Did you mean "{name}"?' if name else ""


def _near(word: str, known: Mapping[str, object]) -> str:
    return _meant(word, dict.fromkeys(known, frozenset())) or f"There are: {', '.join(sorted(known)) or 'none'}."


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _is_true(tree: Tree | None) -> bool:
    return tree is not None and tree.value is True


def _has_reference(tree: Tree) -> bool:
    if isinstance(tree.value, dict):
        return set(tree.value) == {"ref"} or any(_has_reference(each) for each in tree.value.values())
    return isinstance(tree.value, list) and any(_has_reference(each) for each in tree.value)
