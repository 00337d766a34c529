"""Credentials in parameters: what looks like one is refused at launch, and hidden where it has been stored already."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from orchestration.processors.config_names import CONFIG_NAME
from orchestration.processors.parameters import choices_of, stored, unwrapped
from orchestration.processors.secrets import MASK
from orchestration.processors.templating import PLACEHOLDER
from orchestration.translation import _

NAMES_ONLY = "names_only"
"""Extra of a parameter's schema: its names are those of columns or the like, and its values describe them."""

PLAIN = (str, dict, list, Mapping, Any)
"""Types of parameters that may hold a credential itself. Others of which a value is a name hold that of a Secret."""

_HEADS = r"authorization|cookie2?|set[-_ ]?cookie|pass(?:word|wd|phrase)|pwd|secret|bearer|credentials?|"
_KEYS = r"(?:api|access|auth|private|secret|signing|subscription|functions|account|master|license)[-_ ]?key|"
_TOKENS = r"(?:access|auth|api|refresh|id|session|csrf|xsrf|security|bearer|personal|private|client|user)[-_ ]?token"
_NAMED = re.compile(
    rf"(?:^|[-_. ])(?:{_HEADS}{_KEYS}{_TOKENS}|token|client[-_ ]?secret|session[-_ ]?id|sas|authtoken|apitoken)$",
    re.IGNORECASE,
)
"""Names whose values are credentials, whatever comes before: X-API-Key, db_password, Proxy-Authorization."""

_QUERY = re.compile(
    r"([?&;#](?:[\w.-]{0,60}[-_.])?(?:key|token|auth|sig|signature|secret|password|passwd|pwd|apikey|accesskey|sas|jwt|"
    r"credential|accesstoken|authtoken|apitoken|clientsecret|sessionid)=)([^&#;\s'\"]+)",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,30}://)([^/?#\s'\"@]+)@", re.IGNORECASE)
_OPTION = re.compile(r"^(--?[\w-]+)([ \t]*=[ \t]*|[ \t]+|\r?\n)(?!-)(\S.*)$", re.MULTILINE)
_SCHEME = r"(?:Bearer|Token|ApiKey|Basic|Digest|Negotiate|NTLM|SharedKey|AWS4-HMAC-SHA256)"
_WHOLE = re.compile(r"\s*(Bearer)[ \t]+([^\s{}]+)\s*", re.IGNORECASE)
_VALUE = re.compile(
    rf"""(?x)
    (?:^|(?<=[\s:=,;'"(]))(?:
        {_SCHEME}[ \t]+(?=[\w~+/=:,-]*[\d+/=~_]|[\w.~+/=:,-]{{20}}|\w*[a-z][A-Z])[\w.~+/=:,-]{{6,}}
        | eyJ[\w-]{{8,}}\.eyJ[\w-]{{8,}}(?:\.[\w-]*)?
        | (?:sk|pk|rk)[-_](?:live|test|proj|ant)[-_][\w-]{{10,}} | sk-[A-Za-z0-9]{{20,}}
        | gh[pousr]_\w{{20,}} | github_pat_\w{{20,}} | gl(?:pat|dt|rt)-[\w-]{{20,}} | xox[abeoprs]-[\w-]{{10,}}
        | (?:AKIA|ASIA)[A-Z0-9]{{16}} | AIza[\w-]{{30,}} | SG\.[\w-]{{16,}}\.[\w-]{{16,}} | npm_\w{{30,}} | hf_\w{{30,}}
        | pypi-[\w-]{{30,}} | dop_v1_\w{{30,}} | whsec_[\w+/=]{{16,}} | canopy_[\w-]{{30,}}
    )
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[^-]*(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----)?
    """
)
_HEADER_LINE = re.compile(r"^([\w-]+)[ \t]*:[ \t]*(\S.*)$", re.MULTILINE)


def is_named_like_credential(name: str) -> bool:
    """Whether a header, a field of JSON or a parameter of that name holds a credential."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return bool(_NAMED.search(spaced))


def credentials_in(model: type[BaseModel], parameters: Mapping[str, Any]) -> list[str]:
    """Return the parameters in which something looks like a credential, or like one that was masked."""
    shown = masked_credentials(model, parameters)
    return [name for name, value in parameters.items() if shown[name] != value or _has_mask(value)]


def refuse_credentials(model: BaseModel, given: Collection[str] | None = None) -> None:
    """Raise ValidationError, with the way to do it right, if parameters contain what looks like a credential.

    With `given` only these are looked at.
    """
    kind = type(model)
    found = [each for each in credentials_in(kind, stored(model)) if given is None or each in given]
    if found:
        advice = _(
            "Looks like a credential, and parameters are stored with the batch. Put the value into CANOPY_SECRET_NAME "
            "on the workers, and {secret:NAME} here; a processor of your own takes its name as a parameter of type "
            "Secret."
        )
        kind_of_error = PydanticCustomError("credential", advice)
        errors = [InitErrorDetails(type=kind_of_error, loc=(each,), input=None) for each in found]
        raise ValidationError.from_exception_data(kind.__name__, errors)


def masked_credentials(model: type[BaseModel] | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with what looks like a credential masked, for people to see. `model` is None if unknown."""
    fields = model.model_fields if model is not None else {}
    return {name: _shown(fields.get(name), name, value) for name, value in parameters.items()}


def _shown(info: FieldInfo | None, name: str, value: Any) -> Any:
    annotation = unwrapped(info.annotation)[0] if info is not None else str
    extra = info.json_schema_extra if info is not None else None
    if choices_of(annotation) is not None or (isinstance(extra, dict) and extra.get(NAMES_ONLY)):
        return value
    if annotation in PLAIN or get_origin(annotation) in PLAIN:
        return _masked(name, value)
    is_name = isinstance(value, str) and CONFIG_NAME.fullmatch(value)  # of a Secret
    return value if is_name else _masked("", value)


def _has_mask(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_mask, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and MASK in value


def without_credentials(text: str) -> str:
    """Return a text with userinfo and keys of URLs, and values that look like credentials, masked."""
    text = _USERINFO.sub(_userinfo, text)
    text = _QUERY.sub(lambda found: found[1] + _literal(found[2]), text)
    return _VALUE.sub(_value, text)


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {each: _masked(str(each), below) for each, below in value.items()}
    if isinstance(value, list):
        return [_masked(name, each) for each in value]
    if not isinstance(value, str) or not value.strip():
        return value
    if is_named_like_credential(name) and not PLACEHOLDER.search(value):
        return MASK
    if whole := _WHOLE.fullmatch(value):
        return f"{whole[1]} {MASK}"
    if value.lstrip()[:1] in ("{", "["):
        return _masked_json(value)
    return without_credentials(_OPTION.sub(_option, _HEADER_LINE.sub(_header, value)))


def _masked_json(text: str) -> str:
    try:
        data = json.loads(text)
        found = _masked("", data)
    except (ValueError, RecursionError):
        return without_credentials(text)
    return text if found == data else json.dumps(found, ensure_ascii=False)


def _header(found: re.Match[str]) -> str:
    is_plain = is_named_like_credential(found[1]) and not PLACEHOLDER.search(found[2])
    return f"{found[1]}: {MASK}" if is_plain else found[0]


def _option(found: re.Match[str]) -> str:
    is_plain = is_named_like_credential(found[1].lstrip("-")) and not PLACEHOLDER.search(found[3])
    return f"{found[1]}{found[2]}{MASK}" if is_plain else found[0]


def _userinfo(found: re.Match[str]) -> str:
    name, colon, password = PLACEHOLDER.sub("", found[2]).partition(":")
    is_plain = bool(password) or bool(name and not colon and found[1].lower().startswith("http"))
    return f"{found[1]}{MASK}@" if is_plain else found[0]


def _literal(value: str) -> str:
    return value if PLACEHOLDER.search(value) or "{" in value else MASK


def _value(found: re.Match[str]) -> str:
    scheme, space, rest = found[0].partition(" ")
    return f"{scheme}{space}{MASK}" if rest and not scheme.startswith("-") else MASK
