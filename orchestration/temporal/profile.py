"""Where Temporal is, as Temporal's own environment variables and the profiles of temporal.toml say.

The SDK's envconfig reads them. What it passes over is refused here: files that are missing, certificates that are none,
and what this SDK cannot do.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS
from temporalio.service import TLSConfig

from orchestration.temporal.connection import Connection
from orchestration.temporal.data_converter import KEYS
from orchestration.temporal.key_pair import check_certificates, check_pair, read_source
from orchestration.temporal.remote_codec import CodecServer

PREFIX = "TEMPORAL_"
CONFIG_FILE, PROFILE = "TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"
API_KEY, API_KEY_FILE = "TEMPORAL_API_KEY", "TEMPORAL_API_KEY_FILE"
TLS, TLS_PREFIX = "TEMPORAL_TLS", "TEMPORAL_TLS_"
UNVERIFIED = "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"
CODEC_ENDPOINT, CODEC_AUTH = "TEMPORAL_CODEC_ENDPOINT", "TEMPORAL_CODEC_AUTH"

DEFAULT_ADDRESS, DEFAULT_NAMESPACE, DEFAULT_PROFILE = "127.0.0.1:7233", "default", "default"
SWITCHES = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on", "ok"), "true"),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), "false"),
}


class InvalidProfile(ValueError):
    """The environment or temporal.toml does not say how to connect; the message names the variable and the file."""


@dataclass(frozen=True)
class _Profile:
    """A profile as its file has it, for what the SDK leaves out: its name, its file, and its table."""

    name: str
    path: Path
    text: bytes
    table: Mapping[str, Any]

    def setting(self, name: str) -> str:
        """Return how to name one of its settings to a person."""
        return f"{name} of the profile {self.name} in {self.path}"

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a table of its own; empty where it has none."""
        found = self.table.get(name)
        return found if isinstance(found, dict) else {}


def connection_of_environment(environment: Mapping[str, str] | None = None) -> Connection:
    """Read TEMPORAL_* and the profile that they name; an empty variable is as good as none. Raises InvalidProfile.

    The connection can be read again, by its `source`: keys and certificates may be other ones by then.
    """
    given = os.environ if environment is None else environment
    own = {name: value for name, value in given.items() if name.startswith(PREFIX) and value.strip()}
    profile = _profile(own, given)
    for name in (TLS, UNVERIFIED):
        if name in own:
            own[name] = _switch(name, own[name])
    if key := _api_key(own):
        own[API_KEY] = key
    loaded = _load(profile, own)
    return Connection(
        address=loaded.address or DEFAULT_ADDRESS,
        namespace=loaded.namespace or DEFAULT_NAMESPACE,
        api_key=(loaded.api_key or "").strip(),
        tls=_tls(loaded.tls, profile, own),
        metadata=dict(loaded.grpc_meta),
        codec=_codec(profile, own),
        source=lambda: connection_of_environment(environment),
    )


def names_a_server(environment: Mapping[str, str] | None = None) -> bool:
    """Whether somebody has said where Temporal is: by an address, or by a profile or file of their choice."""
    given = os.environ if environment is None else environment
    return any(given.get(name, "").strip() for name in ("TEMPORAL_ADDRESS", PROFILE, CONFIG_FILE))


def default_file(environment: Mapping[str, str]) -> Path:
    """Return where Temporal's programs look for temporal.toml."""
    home = Path(environment.get("HOME") or "~").expanduser()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "temporalio" / "temporal.toml"
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "temporalio" / "temporal.toml"


def _profile(own: Mapping[str, str], given: Mapping[str, str]) -> _Profile:
    name, path = own.get(PROFILE, DEFAULT_PROFILE).strip(), Path(own.get(CONFIG_FILE) or default_file(given))
    said = f"{CONFIG_FILE} names {path}, which" if CONFIG_FILE in own else f"{path}"
    try:
        text = path.read_bytes()
        profiles = tomllib.loads(text.decode()).get("profile", {})
    except FileNotFoundError:
        if CONFIG_FILE in own:
            raise InvalidProfile(f"{said} does not exist.") from None
        text, profiles = b"", {}
    except OSError as error:
        raise InvalidProfile(f"{said} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InvalidProfile(f"{said} is not valid TOML: {error}.") from None
    table = profiles.get(name) if isinstance(profiles, dict) else None
    if PROFILE in own and not isinstance(table, dict):
        there = ", ".join(sorted(profiles)) if isinstance(profiles, dict) else ""
        has = f"{path} has only: {there}" if there else f"{path} has no profiles" if text else f"there is no {path}"
        raise InvalidProfile(f"{PROFILE} is {name!r}, but {has}.")
    return _Profile(name, path, text, table if isinstance(table, dict) else {})


def _load(profile: _Profile, own: Mapping[str, str]) -> ClientConfigProfile:
    variables = {name: value for name, value in own.items() if name != CONFIG_FILE}
    try:
        return ClientConfigProfile.load(
            config_source=profile.text or None, disable_file=not profile.text, override_env_vars=variables
        )
    except Exception as error:  # the SDK's own class is private, and has no base but Exception
        where = f" (with {profile.path})" if profile.text else ""
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = ": ".join(dict.fromkeys((lines[0], lines[-1])))  # between them is the line of the file, with its secrets
        raise InvalidProfile(f"Temporal's variables{where} do not say how to connect: {said}.") from None


def _switch(name: str, value: str) -> str:
    try:
        return SWITCHES[value.strip().lower()]
    except KeyError:
        raise InvalidProfile(f"{name} is {value!r}: say true or false.") from None


def _api_key(own: Mapping[str, str]) -> str:
    """Return the key of a variable, or of the file that one names. Raises InvalidProfile."""
    name, key = API_KEY, own.get(API_KEY, "").strip()  # what comes out of a file ends with a line end
    if path := own.get(API_KEY_FILE, ""):
        if key:
            raise InvalidProfile(f"{API_KEY} and {API_KEY_FILE} are both set: set one of them.")
        name = f"{API_KEY_FILE} ({path})"
        try:
            key = Path(path).read_text().strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise InvalidProfile(f"{API_KEY_FILE} names {path}, which cannot be read: {reason}.") from None
        if not key:
            raise InvalidProfile(f"{API_KEY_FILE} names {path}, which is empty.")
    if not (key.isascii() and key.isprintable()):
        raise InvalidProfile(f"{name} is no API key: it has characters that no header can carry.")
    return key


def _tls(tls: ClientConfigTLS | None, profile: _Profile, own: Mapping[str, str]) -> bool | TLSConfig | None:
    """Return how TLS is to be used; None leaves it to whether there is an API key. Raises InvalidProfile."""
    if tls is None or tls.disabled:
        return None if tls is None else False
    unverified = own.get(UNVERIFIED) or str(profile.section("tls").get("disable_host_verification", "")).lower()
    if unverified == "true":
        named = UNVERIFIED if UNVERIFIED in own else profile.setting("tls.disable_host_verification")
        raise InvalidProfile(
            f"{named} is set, but the SDK for Python always verifies the server: name its authority with "
            f"{TLS_PREFIX}SERVER_CA_CERT_PATH, and its name with {TLS_PREFIX}SERVER_NAME."
        )
    sources = {"server_ca_cert": tls.server_root_ca_cert, "client_cert": tls.client_cert}
    sources["client_key"] = tls.client_private_key
    try:
        authority, certificate, key = (
            read_source(_source(name, given, profile, own)) for name, given in sources.items()
        )
        if authority:
            check_certificates(authority)
        check_pair(certificate, key)
    except ValueError as error:
        raise InvalidProfile(str(error)) from None
    return TLSConfig(
        server_root_ca_cert=authority.content if authority else None,
        domain=tls.server_name,
        client_cert=certificate.content if certificate else None,
        client_private_key=key.content if key else None,
    )


def _source(
    name: str, given: Path | str | bytes | None, profile: _Profile, own: Mapping[str, str]
) -> tuple[str, Path | str | bytes | None]:
    """Return what a person calls a source of TLS, and the source."""
    kind = "path" if isinstance(given, Path) else "data"
    variable = f"{TLS_PREFIX}{name}_{kind}".upper()
    return variable if variable in own else profile.setting(f"tls.{name}_{kind}"), given


def _codec(profile: _Profile, own: Mapping[str, str]) -> CodecServer | None:
    """Return the codec server, which the SDK leaves out. Raises InvalidProfile."""
    section = profile.section("codec")
    endpoint, auth = own.get(CODEC_ENDPOINT) or section.get("endpoint"), own.get(CODEC_AUTH) or section.get("auth")
    if not endpoint:
        return None
    named = CODEC_ENDPOINT if CODEC_ENDPOINT in own else profile.setting("codec.endpoint")
    if not str(endpoint).startswith(("http://", "https://")):
        raise InvalidProfile(f"{named} is {endpoint!r}, which is not an http or https address.")
    if os.environ.get(KEYS):
        raise InvalidProfile(f"{KEYS} and {named} are both set: payloads go through one codec.")
    return CodecServer(named, str(endpoint).rstrip("/"), str(auth or ""))
