"""CANOPY_URL alone says prefix, host, origin, TLS and cookies; what cannot work is refused with what to write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from dashboard.address.public_address import public_address, trusted_proxies
from dashboard.environment import cookie_name

ROOT = Path(__file__).resolve().parents[3]

NAMES = (
    *("CANOPY_URL", "FORCE_SCRIPT_NAME", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "HTTPS", "TRUSTED_PROXIES"),
    *("SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD", "SECURE_SSL_HOST", "STATIC_URL"),
    *(
        "SESSION_COOKIE_NAME",
        "SESSION_COOKIE_PATH",
        "CSRF_COOKIE_PATH",
        "LANGUAGE_COOKIE_PATH",
        "NEW_PASSWORD_REQUIRED",
    ),
)
SHOW = f"import json; from dashboard import settings as s; print(json.dumps({{n: getattr(s, n) for n in {NAMES}}}))"

LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]
YEAR = 31_536_000


def settings_of(home: Path, **given: str) -> dict[str, Any]:
    """Return the settings of a process with these variables."""
    env = {"PATH": os.environ["PATH"], "CANOPY_HOME": str(home), **given}
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("given", "url", "origin", "prefix"),
    [
        ("https://canopy.example.org", "https://canopy.example.org", "https://canopy.example.org", ""),
        ("https://canopy.example.org/", "https://canopy.example.org", "https://canopy.example.org", ""),
        ("https://Example.org:443/canopy/", "https://example.org/canopy", "https://example.org", "/canopy"),
        ("http://example.org:80//a//b/", "http://example.org/a/b", "http://example.org", "/a/b"),
        (" https://example.org:8443/x ", "https://example.org:8443/x", "https://example.org:8443", "/x"),
        ("https://[fd00::1]:8443/canopy", "https://[fd00::1]:8443/canopy", "https://[fd00::1]:8443", "/canopy"),
        ("http://example.org:443", "http://example.org:443", "http://example.org:443", ""),
    ],
)
def test_an_address_has_parts(given: str, url: str, origin: str, prefix: str) -> None:
    found = public_address(given, "127.0.0.1", "8000")
    assert (found.url, found.origin, found.prefix) == (url, origin, prefix)


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("127.0.0.1", "8000", "http://127.0.0.1:8000"),
        ("0.0.0.0", "80", "http://localhost"),
        ("::", "8000", "http://localhost:8000"),
        ("::1", "8000", "http://[::1]:8000"),
        ("canopy.internal", "8000", "http://canopy.internal:8000"),
    ],
)
def test_without_an_address_it_is_that_of_host_and_port(host: str, port: str, url: str) -> None:
    found = public_address("", host, port)
    assert (found.url, found.is_given, found.is_secure, found.is_for_others) == (url, False, False, False)


@pytest.mark.parametrize(
    "given",
    [
        *("canopy.example.org", "example.org/canopy", "ftp://example.org", "https://", "https:///canopy", "/canopy"),
        *("https://user@example.org", "https://example.org/?a=1", "https://example.org/#a", "https://example.org:x/"),
        *("https://example.org/a b", "https://example.org/ä", "https://example.org/../x", "https://example.org/%2e"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_write(given: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"CANOPY_URL is .* such as https://canopy\.example\.org"):
        public_address(given, "127.0.0.1", "8000")


def test_trusted_proxies_are_addresses() -> None:
    assert trusted_proxies(["10.0.0.0/8", " 192.0.2.1 ", "", "unix:"]) == ["10.0.0.0/8", "192.0.2.1", "unix:"]
    assert trusted_proxies(["*"]) == ["0.0.0.0/0", "::/0", "unix:"]
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES has 'nginx'"):
        trusted_proxies(["nginx"])


def test_cookies_of_a_prefix_have_a_name_of_their_own() -> None:
    """A browser sends those of the host's root too, and the last of one name would count."""
    assert cookie_name("sessionid", is_secure=True) == "__Host-sessionid"
    assert cookie_name("sessionid", is_secure=True, path="/a/b") == "__Secure-sessionid-a-b"
    assert cookie_name("sessionid", is_secure=False, path="/a") == "sessionid-a"


def test_one_variable_configures_what_is_behind_a_proxy(tmp_path: Path) -> None:
    found = settings_of(tmp_path, CANOPY_URL="https://example.org/canopy")
    assert found == {
        "CANOPY_URL": "https://example.org/canopy",
        "FORCE_SCRIPT_NAME": "/canopy",
        "ALLOWED_HOSTS": [*LOOPBACK, "127.0.0.1", "example.org"],
        "CSRF_TRUSTED_ORIGINS": ["https://example.org"],
        "HTTPS": True,
        "TRUSTED_PROXIES": ["127.0.0.0/8", "::1", "unix:"],
        "SECURE_HSTS_SECONDS": YEAR,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": False,
        "SECURE_HSTS_PRELOAD": False,
        "SECURE_SSL_HOST": "example.org",
        "STATIC_URL": "/canopy/static/",
        "SESSION_COOKIE_NAME": "__Secure-sessionid-canopy",
        "SESSION_COOKIE_PATH": "/canopy",
        "CSRF_COOKIE_PATH": "/canopy",
        "LANGUAGE_COOKIE_PATH": "/canopy",
        "NEW_PASSWORD_REQUIRED": True,
    }


def test_variables_of_their_own_come_first(tmp_path: Path) -> None:
    given = {"CANOPY_URL": "https://example.org:8443", "ALLOWED_HOSTS": "a.example", "CANOPY_HSTS_SUBDOMAINS": "1"}
    given |= {"CSRF_TRUSTED_ORIGINS": "https://b.example", "FORWARDED_ALLOW_IPS": "10.1.1.1"}
    found = settings_of(tmp_path, **given)
    assert found["ALLOWED_HOSTS"] == ["a.example", "example.org"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://b.example", "https://example.org:8443"]
    assert found["TRUSTED_PROXIES"] == ["10.1.1.1"]
    assert found["SECURE_HSTS_SECONDS"] == 0, "it would bind the host's other ports"
    assert found["SECURE_HSTS_INCLUDE_SUBDOMAINS"]
    plain = settings_of(tmp_path, **given, CANOPY_HTTPS="0", TRUSTED_PROXIES="192.0.2.0/24", HOST="::")
    assert not plain["HTTPS"]
    assert plain["SESSION_COOKIE_NAME"] == "sessionid"
    assert plain["TRUSTED_PROXIES"] == ["192.0.2.0/24"]


def test_without_it_everything_is_for_this_machine(tmp_path: Path) -> None:
    found = settings_of(tmp_path, HOST="::1", CANOPY_HTTPS="0")
    assert found["CANOPY_URL"] == "http://[::1]:8000"
    assert found["ALLOWED_HOSTS"] == [*LOOPBACK, "[::1]"]
    assert (found["TRUSTED_PROXIES"], found["CSRF_TRUSTED_ORIGINS"], found["FORCE_SCRIPT_NAME"]) == ([], [], None)
    secure = settings_of(tmp_path, CANOPY_HTTPS="1")
    assert (secure["SECURE_HSTS_SECONDS"], secure["SESSION_COOKIE_NAME"]) == (YEAR, "__Host-sessionid")
