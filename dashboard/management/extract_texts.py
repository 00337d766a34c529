"""Extraction of translatable texts from code that does not import Django: titles, descriptions and choices."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from dashboard.forms.model_fields import choice_title, title_of
from dashboard.queries.results import ColumnOperator
from orchestration.errors.kinds import ADVICE, ErrorKind
from orchestration.plan.plan import Plan
from orchestration.plan.presets import PRESETS
from orchestration.processors.catalogue import load, processors

HEADER = '''"""Made by `manage.py texts`: texts that code without Django has written, for makemessages to find."""

from django.utils.translation import gettext_noop

TEXTS = (
'''


def translatable_texts() -> list[str]:
    """Return the texts of the plan, presets, error kinds and built-in processors, sorted."""
    load()
    found = {*ADVICE.values(), *(str(kind) for kind in ErrorKind), *(str(each) for each in ColumnOperator)}
    found |= {text for preset in PRESETS for text in (preset.title, preset.when, preset.group)}
    for each in processors().values():
        if each.function.__module__.startswith("orchestration."):
            found |= {each.title, each.summary, *_model_texts(each.parameters_model)}
    found |= set(_model_texts(Plan))
    return sorted(found - {""})


def module_source(texts: list[str]) -> str:
    """Return the source of a module in which makemessages finds the texts."""
    return HEADER + "".join(f"    gettext_noop({text!r}),\n" for text in texts) + ")\n"


def _model_texts(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield title_of(name, info)
        yield info.description or ""
        extra = info.json_schema_extra
        if isinstance(extra, dict):
            yield str(extra.get("group", ""))
        yield from _choice_texts(info.annotation)


def _choice_texts(annotation: Any) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from (choice_title(each) for each in annotation)
    elif get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    else:
        for each in get_args(annotation):
            yield from _choice_texts(each)
