"""Forms that are made from models: an unchanged form launches the defaults, whatever types and names they have."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AnyUrl,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    Secret,
    SecretStr,
    create_model,
    field_validator,
    model_validator,
)

from dashboard.forms.pydantic_forms import PydanticForm, form_of
from orchestration.processors.function_signature import ArgumentType
from orchestration.processors.parameters import check_parameters, read_parameters, stored
from tests.support.html_forms import sent_unchanged


class Color(enum.Enum):
    """Names, values and texts all differ."""

    RED = "red"
    DARK_GREEN = "dark_green"
    ONE = 1
    ONE_AS_TEXT = "1"
    NOTHING = ""


class Level(enum.IntEnum):
    """Numbers."""

    LOW = 0
    HIGH = 1


class Rights(enum.Flag):
    """Members that are combined."""

    READ = 1
    WRITE = 2
    RUN = 4


class Sizes(enum.Enum):
    """Values that JSON does not have."""

    SMALL = (1, 2)
    DAY = date(2026, 1, 31)
    PRICE = Decimal("1.10")
    RAW = b"x"


class Maybe(enum.Enum):
    """One member is None."""

    UNKNOWN = None
    KNOWN = "known"


class Inner(BaseModel):
    """A model within a model."""

    day: date = date(2026, 1, 31)
    colors: list[Color] = [Color.ONE]
    prices: dict[str, Decimal] = {"a": Decimal("0.10")}


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [", ", "\n", "\r\n", "\r", " a ", "\na", "\t", "a:b", '"', "{}", "None", "<b>&amp;"]
)
OFFSETS = st.none() | st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=9, minutes=30))])
DATES = st.dates(date(1, 1, 1))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, TEXT),
    (bool, st.booleans()),
    (int, st.integers(-(10**40), 10**40)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (Literal["x", "1", 1, True, ""], st.sampled_from(["x", "1", 1, ""])),
    (Literal[True, False], st.booleans()),
    (Literal[Color.ONE, Color.DARK_GREEN], st.sampled_from([Color.ONE, Color.DARK_GREEN])),
    (Literal[b"x", "y", 2], st.sampled_from([b"x", "y", 2])),
    (Rights, st.integers(0, 7).map(Rights)),
    (Sizes, st.sampled_from(Sizes)),
    (None, st.none()),
    (Base64Bytes, st.just(b"YWJj")),
    (Json, JSON),
    (date, DATES),
    (datetime, st.datetimes(timezones=OFFSETS)),
    (time, st.times() | st.times(timezones=st.just(UTC))),
    (
        timedelta,
        st.timedeltas(timedelta(days=-99), timedelta(days=99))
        | st.integers(0, 90_000).map(lambda n: timedelta(seconds=n)),
    ),
    (uuid.UUID, st.uuids()),
    (Path, st.sampled_from([Path("/tmp/a b"), Path(), Path(" x")])),
    (HttpUrl, st.just(HttpUrl("https://example.com/a?b=c&d=%20"))),
    (AnyUrl, st.just(AnyUrl("s3://bucket/key"))),
    (IPv4Address, st.ip_addresses(v=4)),
    (IPv6Address, st.ip_addresses(v=6)),
    (bytes, TEXT.map(str.encode)),
    (Inner, st.builds(Inner, day=DATES)),
    (list[str], st.lists(TEXT, max_size=3)),
    (list[Color], st.lists(st.sampled_from(Color), max_size=3)),
    (set[int], st.sets(st.integers(), max_size=3)),
    (frozenset[str], st.frozensets(TEXT, max_size=3)),
    (tuple[int, str], st.tuples(st.integers(), TEXT)),
    (dict[str, str], st.dictionaries(TEXT, TEXT, max_size=3)),
    (dict[str, Any], st.dictionaries(TEXT, JSON, max_size=3)),
    (dict[int, date], st.dictionaries(st.integers(), DATES, max_size=2)),
    (list[Inner], st.lists(st.builds(Inner), max_size=2)),
    (Any, JSON),
    (int | list[str], st.integers() | st.lists(TEXT, max_size=2)),
]
NAMES = """
source model data files errors fields prefix items plan parameters format text file upload key label name processor
count csrfmiddlewaretoken idempotency_key use_text leave_out default_renderer field_order clean is_valid add_error
initial auto_id base_fields groups renderer media changed_data self cls from_ class_
""".split()  # noqa: SIM905


@st.composite
def models(draw: st.DrawFn) -> type[BaseModel]:
    """Return a model whose fields all have a default."""
    fields: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True)):
        kind, values = draw(st.sampled_from(KINDS))
        form = draw(st.sampled_from(["plain", "optional", "optional", "annotated", "factory", "alias", "choices"]))
        value = draw(values | st.none()) if form == "optional" else draw(values)
        fields[name] = {
            "plain": (kind, value),
            "optional": (Optional[kind], value),  # noqa: UP045
            "annotated": (Annotated[kind, Field(description="Why.")], value),
            "factory": (kind, Field(default_factory=lambda value=value: value)),
            "alias": (kind, Field(value, alias=f"{name}-alias")),
            "choices": (kind, Field(value, validation_alias=AliasChoices(f"{name} 1", f"{name} 2"))),
        }[form]
    return create_model("Options", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)


def opened(model: type[BaseModel], **options: Any) -> str:
    """Return the markup of a form's fields."""
    return "".join(str(field) for field in form_of(model)(prefix="parameters", **options))


def unchanged(model: type[BaseModel], **options: Any) -> PydanticForm:
    """Return a form that was opened and sent as it was."""
    form = form_of(model)(sent_unchanged(opened(model, **options)), prefix="parameters")
    assert form.is_valid(), form.errors
    return form


@settings(max_examples=80, deadline=None)
@given(models())
def test_an_unchanged_form_launches_the_defaults(model: type[BaseModel]) -> None:
    check_parameters(model)
    made = unchanged(model).model
    assert made == model()
    assert read_parameters(model, stored(made)) == model()
    assert unchanged(model, initial=stored(made)).model == model()
    left_out = form_of(model)(sent_unchanged(""), prefix="parameters")
    if not any(info.annotation is bool for info in model.model_fields.values()):
        assert left_out.is_valid(), left_out.errors
        assert left_out.model == model()


class Choices(BaseModel):
    """Parameters without a value that anybody could guess."""

    color: Color
    kind: Literal["a", "b"]
    maybe: bool | None = None
    prefix: str | None = None
    secret: SecretStr = SecretStr("hidden")
    number: Secret[int] = Secret(4711)
    unknown: Maybe = Maybe.UNKNOWN
    slug: str = Field(default_factory=lambda data: f"of {data['kind']}")

    @field_validator("kind")
    @classmethod
    def known(cls, value: str) -> str:
        """Fail as a programmer's slip does."""
        return {"a": "a"}[value]


def test_choices_are_made_and_none_is_said() -> None:
    markup = opened(Choices)
    assert markup.count("Please choose…") == 2
    assert "hidden" not in markup
    assert "4711" not in markup
    unchosen = form_of(Choices)(sent_unchanged(markup), prefix="parameters")
    assert set(unchosen.errors) == {"color", "kind"}
    data = sent_unchanged(markup)
    data["parameters-color"], data["parameters-kind"], data["parameters-maybe"] = "dark_green", "a", "False"
    form = form_of(Choices)(data, prefix="parameters")
    assert form.is_valid(), form.errors
    expected = {"color": "dark_green", "kind": "a", "maybe": False, "prefix": None, "unknown": None, "slug": "of a"}
    assert stored(form.model) == expected
    data["parameters-prefix"] = "p"
    both = form_of(Choices)(data, prefix="parameters")
    assert both.errors["prefix"] == ["Clear the text, or untick None."]
    data["parameters-kind"], data["parameters-prefix"] = "b", ""
    wrong = form_of(Choices)(data, prefix="parameters")
    assert wrong.non_field_errors() == ["KeyError: 'b'"]


@dataclasses.dataclass
class Window:
    """A dataclass with a field that is not given, and a check of its own."""

    start: datetime = datetime(2026, 1, 31, 7, 30)  # noqa: DTZ001  without an offset
    length: timedelta = timedelta(minutes=90)
    name: str = dataclasses.field(init=False, default="x")


def test_native_inputs_hold_what_they_can() -> None:
    model = ArgumentType.of(Window, forbids=True).model
    markup = opened(model)
    assert 'type="datetime-local" name="parameters-start" value="2026-01-31T07:30:00"' in markup
    assert 'value="01:30:00"' in markup
    data = sent_unchanged(markup)
    data["parameters-start.offset"] = "+02:00"
    form = form_of(model)(data, prefix="parameters")
    assert form.is_valid(), form.errors
    assert stored(form.model)["start"] == "2026-01-31T07:30:00+02:00"


@pytest.mark.parametrize(
    ("kind", "default", "reason"),
    [
        (bytes, b"\xff", "UnicodeDecodeError"),
        (float, float("nan"), "not JSON compliant"),
        (str, None, "valid string"),
        (date | str, date(2026, 1, 31), "read back as '2026-01-31'"),
        (str, "\x00", "NUL"),
        (int, Field(0, gt=0), "greater than 0"),
        (SecretStr, ..., "Secret"),
        (list[SecretStr], [], "Secret"),
        (str, Field("a", exclude=True), "excluded"),
        (Iterable[int], ..., "only once"),
        (enum.Enum("Nothing", []), ..., "no choices"),
        (Any, Color.ONE, "read back as 1"),
        (int, Field(10**5000), "of type int"),
        (str, Field(default_factory=lambda: dict[str, str]()["a"]), "KeyError"),
    ],
)
def test_what_a_form_cannot_hold_is_refused(kind: Any, default: Any, reason: str) -> None:
    with pytest.raises(TypeError, match="field cannot be a parameter") as refused:
        check_parameters(create_model("Options", field=(kind, default)))
    assert reason in str(refused.value)


def test_the_whole_models_validator_may_raise_anything() -> None:
    class Odd(BaseModel):
        word: str = "a"

        @model_validator(mode="after")
        def leave(self) -> Odd:
            """End the process, or try to."""
            raise SystemExit(3)

    form = form_of(Odd)(sent_unchanged(opened(Odd)), prefix="parameters")
    assert form.non_field_errors() == ["SystemExit: 3"]
