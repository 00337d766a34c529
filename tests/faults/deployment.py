"""Canopy as a company runs it, on loopback: PostgreSQL, Redis, Temporal, two webs behind a proxy with TLS, workers.

Each process reaches the others through links that can be cut. Two workers share the dashboard's database,
a third one has only the dashboard's address.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import httpx

from dashboard.server import processes
from tests.faults.disks import Disk
from tests.faults.ledger import LEDGER
from tests.faults.links import Links
from tests.faults.parts import Keeper, Part
from tests.support.prepared import PREPARE, manage
from tests.support.servers import answers
from tests.support.stack import free_port, temporal_binary
from tests.support.waiting import wait_until

WEBS, WORKERS, REMOTE = ("web1", "web2"), ("worker1", "worker2"), "remote"
NEIGHBOURS = ("postgres", "redis", "temporal")
REMOTE_QUEUE = "heavy"
NGINX = """
daemon off; user root; worker_processes 1; pid {home}/nginx.pid; error_log {home}/nginx-error.log warn;
events {{ worker_connections 2048; }}
http {{
  access_log off; client_max_body_size 120m;
  client_body_temp_path {home}/nginx-body; proxy_temp_path {home}/nginx-proxy; fastcgi_temp_path {home}/nginx-fastcgi;
  uwsgi_temp_path {home}/nginx-uwsgi; scgi_temp_path {home}/nginx-scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream canopy {{ {servers} }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {home}/tls.crt; ssl_certificate_key {home}/tls.key;
    location / {{
      proxy_pass http://canopy; proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_connect_timeout 2s; proxy_read_timeout 75s;
    }}
  }}
}}
"""


class Deployment:
    """All processes, in a home. Used as a context; leaves nothing behind but the home.

    Its links can be cut; without `has_links` processes reach each other directly, which takes less time.
    With `has_disks` some have a disk of their own that can be filled.
    """

    DISKS: ClassVar = {"postgres": "postgres", "temporal": "temporal", "web1": "home-web1"}
    """Parts that have a disk of their own where that is to be had, and its folder in the home."""

    def __init__(self, home: Path, *, has_links: bool = True, has_disks: bool = False) -> None:
        home.chmod(0o755)  # PostgreSQL is another user, and goes through it: not below a folder of pytest
        self.home, self.parts, self.ledger = home, dict[str, Part](), home / "ledger"
        self._ports = {name: free_port() for name in (*NEIGHBOURS, *WEBS, "nginx", "metrics")}
        self._links, self._open = Links(), ExitStack()
        self.disks = {name: Disk(home / folder) for name, folder in self.DISKS.items()} if has_disks else {}
        (home / "temporal").mkdir(exist_ok=True)
        self._secret, self._has_links = secrets.token_urlsafe(48), has_links
        self.url = f"https://localhost:{self._ports['nginx']}"
        self.login: dict[str, str] = {}
        self.certificate = home / "tls.crt"

    def __enter__(self) -> Deployment:
        self._open.enter_context(self._links)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        own = [part for name, part in self.parts.items() if name not in NEIGHBOURS]
        with ThreadPoolExecutor(len(self.parts) or 1) as threads:
            list(threads.map(Part.stop, own))
        for part in self.parts.values():
            part.kill()
        for disk in self.disks.values():
            disk.unmount()

    def _start(self) -> None:
        for part in (self._postgres(), self._redis(), self._temporal()):
            self._add(part)
        manage(self.environment("web1"), *PREPARE)
        shutil.copytree(self._home_of("web1") / "static", self._home_of("web2") / "static")
        self.login = json.loads((self._home_of("web1") / "first-login.json").read_text())
        for name in WEBS:
            command = (
                f"-m uvicorn --no-proxy-headers dashboard.asgi:application --host 127.0.0.1 --port {self._ports[name]}"
            )
            self._add(self._python(name, f"{command} --log-level warning --timeout-graceful-shutdown 3"))
        for name in WORKERS:
            self._add(self._python(name, "manage.py worker"))
        self._add(self._nginx())
        wait_until(lambda: self.health == 200, lambda: f"all is well: {self._said()}", 300)
        wait_until(lambda: all(self.is_ready(each) for each in WEBS), lambda: f"both serve: {self._said()}", 300)
        self._add(self._remote())
        self._open.enter_context(Keeper(self.parts))

    def _said(self) -> str:
        return "\n".join(f"{name}: {part.log[-1_500:]}" for name, part in self.parts.items())

    def _add(self, part: Part) -> None:
        self.parts[part.name] = part
        part.start()

    @property
    def health(self) -> int:
        """The status of /healthz by way of the proxy; 0 where nobody answers."""
        try:
            with self.client() as client:
                return client.get("/healthz", timeout=8).status_code
        except httpx.HTTPError:
            return 0

    def client(self) -> httpx.Client:
        """Return a client with the first login's token."""
        headers = {"Authorization": f"Bearer {self.login['token']}"} if self.login else {}
        return httpx.Client(base_url=self.url, headers=headers, verify=self.trust(), timeout=30, trust_env=False)

    def trust(self) -> ssl.SSLContext:
        """Return a context that trusts the proxy's certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def is_ready(self, name: str) -> bool:
        """Whether a web process would be sent requests, or a worker polls, since it was started last."""
        if name not in WEBS:
            return "Worker polls" in self.parts[name].log[self.parts[name].started_at :]
        try:
            return httpx.get(f"http://127.0.0.1:{self._ports[name]}/readyz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def cut(self, name: str, *, is_open: bool) -> None:
        """Cut a process off from all others, or end that."""
        self._links.set_open(name, is_open)

    def port(self, name: str, *, seen_from: str = "") -> int:
        """Return the port of a server: its own, or the one of the link from a process to it."""
        is_linked = seen_from and self._has_links
        return self._links.port(seen_from, name, self._ports[name]) if is_linked else self._ports[name]

    def database(self, seen_from: str = "") -> str:
        """Return the URL of the database."""
        return f"postgres://canopy@127.0.0.1:{self.port('postgres', seen_from=seen_from)}/postgres"

    def _home_of(self, name: str) -> Path:
        return self.home / f"home-{name}"

    def environment(self, name: str, *, is_linked: bool = True) -> dict[str, str]:
        """Return the environment of a process that shares the database."""
        start = name if is_linked else ""
        own = {key: value for key, value in os.environ.items() if not key.startswith(("TEMPORAL_", "CANOPY_"))}
        return own | {
            "CANOPY_HOME": str(self._home_of(name)),
            "CANOPY_SECRET_KEY": self._secret,
            "CANOPY_URL": self.url,
            "CANOPY_HTTPS": "1",
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            "TRUSTED_PROXIES": "127.0.0.1",
            "DATABASE_URL": self.database(start),
            "REDIS_URL": f"redis://127.0.0.1:{self.port('redis', seen_from=start)}",
            "TEMPORAL_ADDRESS": f"127.0.0.1:{self.port('temporal', seen_from=start)}",
            "CANOPY_PROCESSORS": "tests.faults.ledger",
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            LEDGER: str(self.ledger),
        }

    def _python(self, name: str, command: str) -> Part:
        return Part(name, [sys.executable, *command.split()], self._log(name), self.environment(name))

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _remote(self) -> Part:
        trusted = {"SSL_CERT_FILE": str(self.certificate), "CANOPY_TOKEN": self.login["token"]}
        own = {
            name: value
            for name, value in self.environment(REMOTE).items()
            if not name.startswith(("DATABASE", "REDIS"))
        }
        command = [sys.executable, "-m", "dashboard.cli", "worker", "--queue", REMOTE_QUEUE]
        return Part(REMOTE, command, self._log(REMOTE), own | trusted)

    def _postgres(self) -> Part:
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        data, port = self.home / "postgres", self._ports["postgres"]
        data.mkdir(exist_ok=True)
        is_root = os.geteuid() == 0
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if is_root else []
        if is_root:
            shutil.chown(data, "postgres")
        command = [*become, str(binaries / "initdb"), "-D", str(data), "-U", "canopy", "--auth=trust", "--no-sync"]
        subprocess.run([*command, "--encoding=UTF8"], check=True, capture_output=True, cwd="/", timeout=300)
        options = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-c", "max_connections=200"]
        ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        return Part(
            "postgres",
            [*become, str(binaries / "postgres"), *options],
            self._log("postgres"),
            os.environ,
            lambda: subprocess.run(ready, check=False).returncode == 0,
        )

    def _redis(self) -> Part:
        port = self._ports["redis"]
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(self.home)]
        return Part("redis", command, self._log("redis"), os.environ, lambda: answers(port))

    def _temporal(self) -> Part:
        port = self._ports["temporal"]
        command = f"{temporal_binary()} server start-dev --headless --ip 127.0.0.1 --port {port} --log-level warn"
        command += f" --metrics-port {self._ports['metrics']} --db-filename {self.home}/temporal/temporal.sqlite3"
        command += f" {processes.TEMPORAL_OPTIONS}"
        health = [temporal_binary(), "operator", "cluster", "health", "--address", f"127.0.0.1:{port}"]

        def serves() -> bool:
            return b"SERVING" in subprocess.run(health, check=False, capture_output=True, timeout=60).stdout

        env = os.environ | {"GOGC": processes.TEMPORAL_GARBAGE}
        return Part("temporal", command.split(), self._log("temporal"), env, serves)

    def _nginx(self) -> Part:
        make = (
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        )
        files = ["-keyout", str(self.home / "tls.key"), "-out", str(self.certificate)]
        subprocess.run([*make.split(), *files], check=True, capture_output=True, timeout=60)
        ports = [self.port(name, seen_from="nginx") for name in WEBS]
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=2s;" for port in ports)
        path = self.home / "nginx.conf"
        path.write_text(NGINX.format(home=self.home, port=self._ports["nginx"], servers=servers))
        command = ["nginx", "-c", str(path), "-e", str(self.home / "nginx-error.log")]
        return Part("nginx", command, self._log("nginx"), os.environ, lambda: answers(self._ports["nginx"]))
