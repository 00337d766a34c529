"""Settings that follow from where people find the dashboard: hosts, path prefix, proxies, TLS, cookies."""

from __future__ import annotations

import environ

from dashboard.address.public_address import THIS_MACHINE, bracketed, public_address, trusted_proxies
from dashboard.environment import cookie_name, variable

env = environ.Env()

LISTENS_ON = env.str("HOST", default="127.0.0.1")
ADDRESS = public_address(env.str("CANOPY_URL", default=""), LISTENS_ON, env.str("PORT", default="8000"))
"""Where people find the dashboard; what follows from it can be overridden by a variable of its own."""

CANOPY_URL = ADDRESS.url
FORCE_SCRIPT_NAME = ADDRESS.prefix or None
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", bracketed(LISTENS_ON)])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
if ADDRESS.is_given:  # also where a proxy passes another port or scheme on than the browser has
    ALLOWED_HOSTS += [ADDRESS.host] if ADDRESS.host not in ALLOWED_HOSTS else []
    CSRF_TRUSTED_ORIGINS.append(ADDRESS.origin)

# Behind TLS (production): every cookie and every request is secure. `make run` serves plain HTTP on loopback.
HTTPS = env.bool(variable("HTTPS"), default=ADDRESS.is_secure)

# Addresses and networks of reverse proxies, which alone are believed about X-Forwarded-For and X-Forwarded-Proto. Where
# the dashboard is for this machine alone, no proxy is expected, and everybody would be one. FORWARDED_ALLOW_IPS is
# uvicorn's name for it.
TRUSTED_PROXIES = trusted_proxies(
    env.list("TRUSTED_PROXIES", default=None)
    or env.list("FORWARDED_ALLOW_IPS", default=THIS_MACHINE if HTTPS or ADDRESS.is_for_others else ())
)

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_SSL_HOST = ADDRESS.origin.partition("//")[2] if ADDRESS.is_secure else None
# A browser keeps to TLS on all ports of a host: not asked of one that has the dashboard on a port of its own.
SECURE_HSTS_SECONDS = env.int("CANOPY_HSTS_SECONDS", default=0 if ADDRESS.is_given and ADDRESS.port else 31_536_000)
SECURE_HSTS_SECONDS = SECURE_HSTS_SECONDS if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("CANOPY_HSTS_SUBDOMAINS", default=False)  # others' hosts are not ours to bind
SECURE_HSTS_PRELOAD = env.bool("CANOPY_HSTS_PRELOAD", default=False)  # it takes months to leave the browsers' list
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # they ask for the two
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = ADDRESS.prefix or "/"
SESSION_COOKIE_NAME = cookie_name("sessionid", is_secure=HTTPS, path=SESSION_COOKIE_PATH)
CSRF_COOKIE_NAME = cookie_name("csrftoken", is_secure=HTTPS, path=SESSION_COOKIE_PATH)
LANGUAGE_COOKIE_NAME = cookie_name("canopy-language", is_secure=HTTPS, path=SESSION_COOKIE_PATH)
