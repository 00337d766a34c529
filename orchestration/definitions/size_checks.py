"""Checks of how large a definition is: nesting, steps, runs of loops, and what Temporal takes."""

from __future__ import annotations

from collections.abc import Callable

from orchestration.contracts.carried import MOST_CARRIED, MOST_PLAIN, carried_bytes, plain_bytes
from orchestration.definitions.checks import BRANCHES, ErrorList, SourcePart, all_parts, parts_of
from orchestration.definitions.models import MAX_DEPTH, MAX_STEP_RUNS, MAX_STEPS, Definition
from orchestration.definitions.source_tree import Tree

MOST_INPUT = 20_000_000
"""Characters of the inputs of all step runs: a history ends at 50 MB."""


def check_size(root: Tree, kind: str, errors: ErrorList) -> bool:
    """Check nesting, number of steps, and step runs of loops. Return whether the other checks can go on."""
    for number, place in enumerate(all_parts(root, kind), start=1):
        if place.depth > MAX_DEPTH:
            errors.add(place.tree.mark, place.path, f"Steps nested more than {MAX_DEPTH} deep.")
            return False
        if number > MAX_STEPS:
            errors.add(place.tree.mark, place.path, f"More than {MAX_STEPS:,} steps.")
            return False
        for key in ("if", "until", "while", "keep"):
            condition = (place.tree.get("loop") or place.tree).get(key)
            if condition is not None and _condition_depth(condition) > MAX_DEPTH:
                errors.add(condition.mark, place.path, f"Conditions nested more than {MAX_DEPTH} deep.")
                return False
    runs = sum(_most(place, _of_a_run) for place in parts_of(root, kind))
    if runs > MAX_STEP_RUNS:
        message = f"With every loop at its maximum {runs:,} steps would run; the limit is {MAX_STEP_RUNS:,}."
        errors.add(root.keys.get("steps", root.mark), "steps", message)
    return True


def check_carried(definition: Definition, root: Tree, errors: ErrorList) -> None:
    """Check that a valid definition fits into the input of its workflow, and its step runs into the history."""
    data = definition.as_data()
    if (size := plain_bytes(data)) > MOST_PLAIN:
        message = f"As JSON with all its options the definition has {size:,} bytes; Temporal takes {MOST_PLAIN:,}."
        errors.add(root.mark, "", message)
    elif (size := carried_bytes(data)) > MOST_CARRIED:
        message = f"Compressed, the definition has {size:,} bytes; Temporal takes {MOST_CARRIED:,}."
        errors.add(root.mark, "", message)
    given = sum(_most(place, _input_of_a_run) for place in parts_of(root, definition.kind))
    if given > MOST_INPUT:
        message = (
            f"With every loop at its maximum the steps are given {given:,} characters; the limit is {MOST_INPUT:,}."
        )
        errors.add(root.keys.get("steps", root.mark), "steps", message)


def _condition_depth(tree: Tree) -> int:
    negated = tree.get("not")
    below = [*tree.entries("all"), *tree.entries("any"), *([negated] if negated is not None else [])]
    return 1 + max(map(_condition_depth, below), default=0)


def _of_a_run(place: SourcePart) -> int:
    return 1


def _input_of_a_run(place: SourcePart) -> int:
    work = place.tree.get("run")
    return work.size if work is not None else 0


def _most(place: SourcePart, each: Callable[[SourcePart], int]) -> int:
    """Return the largest sum of something over all runs of a step and of those within it."""
    loop = place.tree.get("loop")
    rounds = loop.get("max") if loop is not None else None
    times = rounds.value if rounds is not None and isinstance(rounds.value, int) else 1
    below = {keys: sum(_most(step, each) for step in place.branch(keys)) for keys in BRANCHES}
    rest = below[("parallel",)] + below[("refused",)]
    return each(place) + rest + max(below[("then",)], below[("else",)]) + times * below[("loop", "steps")]
