"""Django's settings, all from the environment; the defaults run everything on one machine below CANOPY_HOME."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from dashboard import resources
from dashboard.address.settings import *  # noqa: F403
from dashboard.address.settings import ADDRESS, HTTPS, LISTENS_ON
from dashboard.environment import is_loopback, make_private, variable
from orchestration.extras import how_to_install
from orchestration.telemetry import tracing
from orchestration.telemetry.log_lines import log_what_ends_the_process, logging_config

env = environ.Env()

HOME = Path(env.str("CANOPY_HOME", default=str(resources.default_home()))).resolve()
make_private(HOME)


def _secret_key() -> str:
    """Return CANOPY_SECRET_KEY, by default a random one that is generated once and kept in CANOPY_HOME."""
    if given := str(env.str(variable("SECRET_KEY"), default="")):
        return given
    path = HOME / "secret-key"
    if not path.exists():
        own = HOME / f"secret-key.{os.getpid()}"
        own.touch(mode=0o600)
        own.write_text(secrets.token_urlsafe(64))
        with contextlib.suppress(FileExistsError):
            os.link(own, path)  # atomic: another process may be starting, too
        own.unlink()
    return str(path.read_text().strip())


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = env.list("CANOPY_SECRET_KEY_FALLBACKS", default=[])
"""Former keys: sessions and links that were signed with one of them stay valid."""

DEBUG = env.bool(variable("DEBUG"), default=False)
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = env.int("CANOPY_SESSION_IDLE_SECONDS", default=12 * 3600)
CANOPY_SESSION_SECONDS = env.int("CANOPY_SESSION_SECONDS", default=7 * 24 * 3600)
"""Seconds after the log-in at which a session ends whatever is done in it."""
SESSION_EXPIRE_AT_BROWSER_CLOSE = False
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # no cookie of its own
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
NEW_PASSWORD_REQUIRED = HTTPS or ADDRESS.is_for_others or not is_loopback(LISTENS_ON)
"""Whether who logs in with the first password has to change it: the dashboard is not for this machine alone."""

TEMPORAL_ADDRESS = env.str("TEMPORAL_ADDRESS", default="")  # empty: as orchestration.temporal.profile reads it
TEMPORAL_NAMESPACE = env.str("TEMPORAL_NAMESPACE", default="")
TEMPORAL_UI_URL = env.str("TEMPORAL_UI_URL", default="http://127.0.0.1:8233")
CANOPY_TRACE_URL = env.str("CANOPY_TRACE_URL", default="")  # with {trace_id}, {run_id}, {workflow_id}

# The mail server that sends notifications, if there is one.
EMAIL_URL = env.str("EMAIL_URL", default="")
globals().update(env.email_url_config(EMAIL_URL or "dummymail://"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="Canopy <canopy@localhost>")

# Hosts and networks that http_request may reach although they are private, e.g. "127.0.0.1,10.1.0.0/16,intranet.local".
CANOPY_HTTP_ALLOW = env.list("CANOPY_HTTP_ALLOW", default=[])
CANOPY_TIME_ZONE = env.str("CANOPY_TIME_ZONE", default="UTC")  # of new schedules where the browser does not say its own
CANOPY_MAX_ITEMS = env.int("CANOPY_MAX_ITEMS", default=1_000_000)
CANOPY_MAX_UPLOAD_BYTES = env.int("CANOPY_MAX_UPLOAD_BYTES", default=100 * 1024 * 1024)

CANOPY_READY_NEEDS = env.list("CANOPY_READY_NEEDS", default=["database", "migrations", "temporal", "redis"])
"""What has to answer for /readyz. Without `temporal` and `redis` a web process is ready while these are away."""
CANOPY_METRICS_TOKEN = env.str("CANOPY_METRICS_TOKEN", default="")  # of Prometheus: see `dashboard.health.probes`
CANOPY_RETENTION_DAYS = env.int("CANOPY_RETENTION_DAYS", default=0)  # 0: for ever, until somebody says so
CANOPY_TRAIL_DAYS = env.int("CANOPY_TRAIL_DAYS", default=365)  # a year, as auditors ask
CANOPY_PRUNE_AT = env.str("CANOPY_PRUNE_AT", default="15 3 * * *")  # UTC: at night, off the full hour

# What one client may take up of a web process; docs/limits.md says what each is.
CANOPY_ANONYMOUS_BODY_BYTES = env.int("CANOPY_ANONYMOUS_BODY_BYTES", default=64 * 1024)
CANOPY_BODY_BYTES = env.int("CANOPY_BODY_BYTES", default=4 * 1024 * 1024)
CANOPY_HEADER_SECONDS = env.float("CANOPY_HEADER_SECONDS", default=10)
CANOPY_BODY_IDLE_SECONDS = env.float("CANOPY_BODY_IDLE_SECONDS", default=10)
CANOPY_STALLED_SECONDS = env.float("CANOPY_STALLED_SECONDS", default=60)
CANOPY_REQUESTS = env.int("CANOPY_REQUESTS", default=500)
CANOPY_REQUESTS_PER_PERSON = env.int("CANOPY_REQUESTS_PER_PERSON", default=64)
CANOPY_REQUESTS_PER_ADDRESS = env.int("CANOPY_REQUESTS_PER_ADDRESS", default=64)
CANOPY_SOCKETS_PER_PERSON = env.int("CANOPY_SOCKETS_PER_PERSON", default=250)
CANOPY_SOCKETS_PER_ADDRESS = env.int("CANOPY_SOCKETS_PER_ADDRESS", default=50)
CANOPY_CONNECTIONS_PER_ADDRESS = env.int("CANOPY_CONNECTIONS_PER_ADDRESS", default=500)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "django_htmx",
    "django_filters",
    "template_partials",
    "heroicons",
    "ninja",
    "csp",
    "axes",
    "dashboard",
]

MIDDLEWARE = [
    *(["dashboard.server.traced_requests.traced"] if tracing.is_wanted() else []),
    "dashboard.server.problems.retry_later",
    "dashboard.server.plain_http.explained",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "dashboard.server.former_static.former_static",
    "csp.middleware.CSPMiddleware",
    "dashboard.server.answer_headers.private_answers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "dashboard.server.problems.readable_address",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "dashboard.accounts.sessions.SessionLimits",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dashboard.server.form_addresses.back_to_the_form",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [resources.TEMPLATES],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.accounts.preferences.appearance",
            ],
            "builtins": ["django.templatetags.static", "template_partials.templatetags.partials"],
        },
    }
]

if DEBUG:  # these loaders do not cache: every request reads its templates again
    TEMPLATES[0]["APP_DIRS"] = False
    TEMPLATES[0]["OPTIONS"]["loaders"] = [
        (
            "template_partials.loader.Loader",
            ["django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"],
        )
    ]

ROOT_URLCONF = "dashboard.urls"
ASGI_APPLICATION = "dashboard.asgi.application"

DATABASES: dict[str, Any] = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{HOME / 'canopy.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["CONN_MAX_AGE"] = None  # opening one costs more than most queries
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "cached_statements": 32,  # 128 by default; an IN has another text for each number of values, and each is kept
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;",
    }
else:
    DATABASES["default"]["ENGINE"] = "dashboard.database.postgresql"
    # Threads of requests come and go under ASGI: the process keeps its connections, not the thread.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL", default=20),
        "timeout": 5,  # seconds, so that an unreachable database is reported soon
        "reconnect_timeout": 3,  # seconds; the pauses between tries double from 1 s, and the next request begins anew
        "connection_class": import_string("dashboard.database.watched_connection.WatchedConnection"),
    }
    # A host that vanishes answers nothing, not even that the connection is gone: libpq notices within 10 s.
    for option, seconds in {
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": 10_000,  # milliseconds
    }.items():
        DATABASES["default"]["OPTIONS"].setdefault(option, seconds)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASE_STATEMENT_TIMEOUT = env.float("DATABASE_STATEMENT_TIMEOUT", default=60)
"""Seconds after which PostgreSQL cuts a statement of a web process; 0: never."""

CANOPY_GRACE_SECONDS = env.int("CANOPY_GRACE_SECONDS", default=10)
"""Seconds that requests and downloads get when a web process stops, unless uvicorn is told otherwise."""
CANOPY_DRAIN_DELAY = env.int("CANOPY_DRAIN_DELAY", default=0)
"""Seconds before that, in which it serves as ever and /readyz already says that it stops."""

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
CHANNEL_LAYERS: dict[str, Any] = {
    "default": (
        {"BACKEND": "dashboard.live.redis_layer.RedisLayer", "CONFIG": {"url": REDIS_URL}}
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "batch-list"
LOGOUT_REDIRECT_URL = "login"
AXES_HANDLER = "dashboard.accounts.guesses.GuessHandler"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
AXES_CLIENT_IP_CALLABLE = "dashboard.server.client_address.storable_address"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or strangers would keep an account locked for ever

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

STATIC_URL = f"{ADDRESS.prefix}/static/"
SECURE_REDIRECT_EXEMPT = [f"^{re.escape(STATIC_URL.lstrip('/'))}"]  # the page that explains a refusal has styles
STATIC_ROOT = Path(env.str("CANOPY_STATIC", default=str(HOME / "static")))
"""Where static files are collected; elsewhere than in the home for an image whose root file system is read-only."""
STATICFILES_DIRS = [resources.STATIC]
STORAGES = {
    "default": {"BACKEND": "dashboard.server.upload_storage.UploadStorage"},
    "staticfiles": {"BACKEND": "dashboard.server.static_storage.StaticStorage"},
}
MEDIA_ROOT = HOME / "uploads"
IS_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
CANOPY_UPLOADS = env.str("CANOPY_UPLOADS", default="") or (str(MEDIA_ROOT) if IS_SQLITE else "database")
if CANOPY_UPLOADS != "database" and not CANOPY_UPLOADS.startswith(("/", "s3://")):
    raise ImproperlyConfigured("CANOPY_UPLOADS is neither `database`, an absolute folder nor an s3:// address.")
if CANOPY_UPLOADS.startswith("s3://") and find_spec("obstore") is None:
    raise ImproperlyConfigured(f"CANOPY_UPLOADS is a bucket, which needs more packages. Run: {how_to_install('s3')}")
CANOPY_UPLOADS_KEY_ID = env.str("CANOPY_UPLOADS_KEY_ID", default="")
CANOPY_UPLOADS_SECRET = env.str("CANOPY_UPLOADS_SECRET", default="")
FILE_UPLOAD_TEMP_DIR = HOME / "incoming"  # where a large file is moved from, not copied
FILE_UPLOAD_TEMP_DIR.mkdir(mode=0o700, exist_ok=True)
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_UPLOAD_MAX_MEMORY_SIZE = CANOPY_MAX_UPLOAD_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000  # as many rows can be ticked at once
FILE_UPLOAD_HANDLERS = [
    "dashboard.server.large_forms.LargeFormHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
CSRF_FAILURE_VIEW = "dashboard.views.error_pages.csrf_failure"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [resources.LOCALE]
USE_TZ = True
TIME_ZONE = "UTC"
USE_THOUSAND_SEPARATOR = True

# Django's own handlers would write each line a second time, in another format.
LOGGING = logging_config(
    {"axes": {"level": "WARNING"}, "django": {"handlers": [], "level": "INFO"}, "django.server": {"handlers": []}}
)
log_what_ends_the_process()
