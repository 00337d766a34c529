"""PostgreSQL, pgbouncer and Redis from Debian, on free ports, for tests of more than one machine's defaults."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.support.stack import PORTS_TRIED, Process, free_port, http
from tests.support.waiting import wait_until


def answers(port: int) -> bool:
    """Whether something listens on a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def redis(home: Path) -> Iterator[str]:
    """Run a Redis and yield its URL."""
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(home)]
    process = Process(command, home / "redis.log")
    process.start()
    try:
        wait_until(lambda: answers(port), lambda: f"Redis answers: {process.output}")
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.stop()


def _is_ready(process: Process, ready: list[str]) -> bool:
    """Wait until a server answers, or has ended."""

    def answers_or_has_ended() -> bool:
        return subprocess.run(ready, check=False).returncode == 0 or not process.is_running

    wait_until(answers_or_has_ended, lambda: f"PostgreSQL answers: {process.output}")
    return process.is_running


@contextmanager
def postgres(home: Path) -> Iterator[str]:
    """Run a PostgreSQL and yield its URL. It refuses to run as root, so root becomes postgres."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    # Not below `home`: each pytest that starts closes the folder of all temporary paths to other people.
    data = Path(tempfile.mkdtemp(prefix="canopy-postgres-"))
    if become:
        shutil.chown(data, "postgres")
    initdb = [*become, str(binaries / "initdb"), "-D", str(data), "-U", "canopy", "--auth=trust", "--no-sync"]
    subprocess.run([*initdb, "--encoding=UTF8"], check=True, capture_output=True, cwd="/", timeout=300)
    for _ in range(PORTS_TRIED):
        port = free_port()
        options = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
        process = Process([*become, str(binaries / "postgres"), *options], home / "postgres.log")
        process.start()
        ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        if _is_ready(process, ready):
            break
    try:
        wait_until(lambda: _is_ready(process, ready), lambda: f"PostgreSQL answers: {process.output}")
        yield f"postgres://canopy@127.0.0.1:{port}/postgres"
    finally:
        process.stop()
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def pgbouncer(database: str, home: Path, sessions: int) -> Iterator[str]:
    """Run a pgbouncer in transaction mode before a database, with so many sessions of it, and yield its URL."""
    address, port = urlsplit(database), free_port()
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": sessions,
        "max_client_conn": 500,
    }
    with tempfile.NamedTemporaryFile("w", prefix="canopy-pgbouncer-", suffix=".ini") as file:
        file.write(f"[databases]\n* = host=127.0.0.1 port={address.port} user={address.username}\n[pgbouncer]\n")
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        file.flush()
        Path(file.name).chmod(0o644)
        process = Process([*become, "/usr/sbin/pgbouncer", file.name], home / "pgbouncer.log")
        process.start()
        try:
            wait_until(lambda: answers(port), lambda: f"pgbouncer answers: {process.output}")
            yield f"postgres://{address.username}@127.0.0.1:{port}{address.path}"
        finally:
            process.stop()


@contextmanager
def s3(home: Path) -> Iterator[str]:
    """Run an S3-compatible server with an empty bucket `archive` and yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = Process(command, home / "s3.log")
    server.start()
    address = f"http://127.0.0.1:{port}"

    def serves() -> bool:
        try:
            return http.put(f"{address}/archive", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait_until(serves, lambda: f"the S3 server answers: {server.output}")
        yield address
    finally:
        server.stop()
