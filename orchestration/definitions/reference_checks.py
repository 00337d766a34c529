"""Checks of references: each names a step that is complete before on every path, and a field of its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import RootModel

from orchestration.definitions.checks import ErrorList, SourcePart, all_parts, near, parts_of
from orchestration.definitions.source_tree import Tree
from orchestration.definitions.steps import RESULT_FIELDS
from orchestration.processors.processor import Processor

ITEM, RESULT = "item", "result"
"""Names for the item in a saga of each item and in `keep`, and for a stage's result in `keep`."""

MOST_HINTS = 10
"""Unknown steps for which it is said what may be meant: to find it takes longer than all other checks."""

StepNames = frozenset[str]
SourceReference = tuple[Tree, str, str]
"""Tree, path and text of a reference."""


def check_references(root: Tree, kind: str, processors: Mapping[str, Processor], errors: ErrorList) -> None:
    """Check every reference of a definition."""
    check = _Check(root, kind, processors, errors)
    if kind == "services":
        for place in parts_of(root, kind):
            check.references(place, references_in(place.tree.get("input"), f"{place.path}.input"), frozenset())
    elif kind == "saga":
        check.saga()
    elif kind == "pipeline":
        check.pipeline()
    elif kind == "steps":
        check.sequence(parts_of(root, kind), frozenset())


def references_in(tree: Tree | None, path: str, *, is_condition: bool = False) -> Iterator[SourceReference]:
    """Yield the references in a value, or in a condition."""
    if tree is None:
        return
    if isinstance(tree.value, dict):
        ref = tree.get("ref")
        if ref is not None and isinstance(ref.value, str) and (is_condition or len(tree.value) == 1):
            yield ref, f"{path}.ref", ref.value
            return
        for name, each in tree.value.items():
            yield from references_in(each, f"{path}.{name}", is_condition=is_condition)
    elif isinstance(tree.value, list):
        for index, each in enumerate(tree.value):
            yield from references_in(each, f"{path}[{index}]", is_condition=is_condition)


class _Check:
    """Follows the control flow of a definition with the names of the steps that are complete at each point."""

    def __init__(self, root: Tree, kind: str, processors: Mapping[str, Processor], errors: ErrorList) -> None:
        self._root, self._kind, self._processors, self._errors = root, kind, processors, errors
        places = list(all_parts(root, kind))
        self._places = {place.name: place for place in reversed(places)}
        self._order = {place.name: number for number, place in reversed(list(enumerate(places)))}
        self._around: list[str] = []
        self._unknown = 0
        self._refers = {name: self._named_by(place) for name, place in self._places.items()}

    def sequence(self, places: list[SourcePart], over: StepNames) -> StepNames:
        """Check steps in order; return the names complete after them."""
        for place in places:
            over = self.step(place, over)
        return over

    def step(self, place: SourcePart, over: StepNames) -> StepNames:
        """Check a step and the steps within it; return the names complete after it."""
        for key in ("run", "fan_out", "if"):
            self.references(place, _own_references(place, key), over)
        self._around.append(place.name)
        after = over | {place.name}
        for branch in place.branch(("parallel",)):
            after |= self.step(branch, over)
        for key in ("then", "else"):
            self.sequence(place.branch((key,)), over)
        self.sequence(place.branch(("refused",)), over | {place.name})  # who refused, and why
        after |= self.sequence(place.branch(("loop", "steps")), over)
        for key in ("until", "while"):
            self.references(place, _own_references(place, f"loop.{key}"), after - {place.name})
        self._around.pop()
        return after

    def saga(self) -> None:
        """Check a saga's steps; a compensation may name the step that it undoes."""
        fan_out = self._root.get("fan_out")
        over: StepNames = frozenset({ITEM}) if fan_out is not None and fan_out.value is True else frozenset()
        for place in parts_of(self._root, "saga"):
            self.references(place, references_in(place.tree.get("input"), f"{place.path}.input"), over)
            over |= {place.name}
            self.references(place, _own_references(place, "compensation"), over)

    def pipeline(self) -> None:
        """Check the `keep` of stages: a condition on the item and on its result in the same stage."""
        for place in parts_of(self._root, "pipeline"):
            self.references(place, _own_references(place, "keep"), frozenset({ITEM, RESULT}))

    def references(self, place: SourcePart, references: Iterator[SourceReference], over: StepNames) -> None:
        """Check references in a part, before which the steps `over` are complete."""
        for tree, path, ref in references:
            if self._errors.is_full:
                return
            name = ref.split(".")[0]
            message = self._field_error(ref) if name in over else self._order_error(place, name)
            if message:
                self._errors.add(tree.mark, path, message)

    def _order_error(self, place: SourcePart, name: str) -> str:
        if name not in self._places:
            self._unknown += 1
            meant = near(name, (each for each in self._places if each)) if self._unknown <= MOST_HINTS else ""
            hint = f' Did you mean "{meant}"?' if meant else ""
            return f'There is no step "{name}".{hint}'
        if name == place.name:
            return f'"{name}" refers to its own result: a cycle.'
        line = self._places[name].tree.mark.line
        if circle := self._circle(name, place.name):
            return f"These references form a cycle: {' → '.join([place.name, *circle])}."
        if name in self._around:
            return f'"{name}" (line {line}) encloses this step, so it has no result yet.'
        if self._kind == "services":
            return f'"{name}" (line {line}) runs at the same time: services cannot use results of one another.'
        if self._order[name] > self._order[place.name]:
            return f'"{name}" (line {line}) is not finished before this: it runs later or at the same time.'
        return f'"{name}" (line {line}) is not finished on every path that leads here: it is in another branch.'

    def _circle(self, start: str, end: str) -> list[str]:
        """Return the path of references from one step to another; empty if there is none."""
        left, before = [start], {start: ""}
        while left:
            at = left.pop()
            for name in self._refers.get(at, ()):
                if name == end:
                    return [*self._way(at, before), end]
                if name not in before:
                    before[name] = at
                    left.append(name)
        return []

    def _way(self, at: str, before: Mapping[str, str]) -> list[str]:
        way = list[str]()
        while at:
            way.append(at)
            at = before[at]
        return way[::-1]

    def _named_by(self, place: SourcePart) -> list[str]:
        keys = ("run", "fan_out", "if", "loop.until", "loop.while", "input")
        return [ref.split(".")[0] for key in keys for _, _, ref in _own_references(place, key)]

    def _field_error(self, ref: str) -> str:
        """Return the error of a field that a step's result does not have; "" where unknown."""
        name, *rest = ref.split(".")
        if any(not part for part in rest):
            return f'"{ref}" has an empty part: write step.field.'
        place = self._places.get(name)
        if place is None or not rest or rest[0] == "result":
            return ""
        if place.kind == "sleep":
            return f'"{name}" only waits: it has no result.'
        known = self._fields_of(place)
        if known is None or rest[0] in known:
            return ""
        return f'The result of "{name}" has no "{rest[0]}". It has: {", ".join(sorted(known))}.'

    def _fields_of(self, place: SourcePart) -> StepNames | None:
        """Return the fields of a step's result, or None where unknown."""
        if place.kind == "parallel":
            return frozenset(branch.name for branch in place.branch(("parallel",)))
        if place.kind in RESULT_FIELDS:
            return RESULT_FIELDS[place.kind]
        work = place.tree if self._kind == "saga" else place.tree.get("run")
        processor = self._processors.get(work.text("processor") or "") if work is not None else None
        if processor is None:
            return None
        model = processor.result_model
        if model.model_config.get("extra") == "allow" or issubclass(model, RootModel):
            return None
        return frozenset(model.model_fields) | frozenset(model.model_computed_fields)


def _own_references(place: SourcePart, keys: str) -> Iterator[SourceReference]:
    """Return the references under a dotted key of a step, without those of steps within it."""
    tree: Tree | None = place.tree
    for key in keys.split("."):
        tree = tree.get(key) if tree is not None else None
    path = f"{place.path}.{keys}"
    if tree is not None and keys in ("run", "compensation"):
        return references_in(tree.get("input"), f"{path}.input")
    if tree is not None and keys == "fan_out":
        items = tree.get("items")
        return references_in(items if items is not None and isinstance(items.value, dict) else None, f"{path}.items")
    return references_in(tree, path, is_condition=keys != "input")
