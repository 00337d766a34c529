"""Behind a real nginx, with TLS, HTTP/2 and a path prefix, from CANOPY_URL alone: what a browser does works."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from websockets import Origin
from websockets.sync.client import connect

from tests.support.everything import DEFINITION
from tests.support.ports import free_port
from tests.support.prepared import VIEWER, prepared_home
from tests.support.proxy_examples import EXAMPLES, HAS_IPV6, Nginx, check
from tests.support.stack import Process, http
from tests.support.waiting import wait_until

PREFIX = "/canopy"


class Behind:
    """A web process, without Temporal, behind the example for a prefix."""

    def __init__(self, home: Path) -> None:
        self.web_port = free_port()
        self.nginx = Nginx(home, "nginx-prefix.conf", self.web_port)
        self.home = home / "canopy"
        shutil.copytree(prepared_home(), self.home)
        self.login: dict[str, str] = json.loads((self.home / "first-login.json").read_text())
        self.tls = ssl.create_default_context(cafile=str(self.nginx.certificate))
        environment = {
            "CANOPY_HOME": str(self.home),
            "CANOPY_URL": f"https://127.0.0.1:{self.nginx.port}{PREFIX}/",
            "HOST": "127.0.0.1",
            "PORT": str(self.web_port),
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
        }
        env = {"PATH": "/usr/bin:/bin", **environment}
        self.web = Process([sys.executable, "-m", "dashboard.cli", "web"], home / "web.log", env)

    def answers(self) -> bool:
        """Whether the web process answers by its own address, as a probe asks it."""
        try:
            return http.get(f"http://127.0.0.1:{self.web_port}/healthz").status_code in (200, 503)
        except httpx.HTTPError:
            return False

    def browser(self, url: str) -> httpx.Client:
        """Return the browser of a person at an address."""
        return httpx.Client(base_url=url, verify=self.tls, follow_redirects=False, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    made = Behind(tmp_path_factory.mktemp("behind"))
    try:
        made.web.start()
        made.nginx.process.start()
        wait_until(made.answers, lambda: f"the web process answers: {made.web.output}", 300)
        yield made
    finally:
        made.nginx.process.stop()
        made.web.stop()


def log_in(browser: httpx.Client) -> httpx.Response:
    """Open the dashboard as a person does who has typed the prefix alone, and log in."""
    answer = browser.get(PREFIX)
    while answer.has_redirect_location:
        answer = browser.get(answer.headers["location"])
    assert answer.status_code == 200, answer.text
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.text)[0]
    headers = {"Referer": str(answer.url), "Origin": str(browser.base_url).rstrip("/")}
    return browser.post(str(answer.url), data={**VIEWER, "csrfmiddlewaretoken": token}, headers=headers)


@pytest.mark.parametrize("strips", [False, True])
def test_a_person_logs_in_and_watches_below_the_prefix(behind: Behind, strips: bool) -> None:
    origin = f"https://127.0.0.1:{behind.nginx.stripping_port if strips else behind.nginx.port}"
    with behind.browser(origin) as browser:
        arrived = log_in(browser)
        assert (arrived.status_code, arrived.headers["location"]) == (302, f"{PREFIX}/"), arrived.text
        kept = {each.name: (each.path, each.secure) for each in browser.cookies.jar}
        assert kept == {f"__Secure-{name}-canopy": (PREFIX, True) for name in ("sessionid", "csrftoken")}
        page = browser.get(f"{PREFIX}/batches/")
        own = re.findall(r'(?:href|src)="(/[^"]*\.(?:css|js|svg))"', page.text)
        assert len(own) > 4
        assert {(name, browser.get(name).status_code) for name in own} == {(name, 200) for name in own}
        address = re.findall(r'data-live="([^"]+)"', page.text)[0]
        cookies = "; ".join(f"{each.name}={each.value}" for each in browser.cookies.jar)
    with connect(
        f"wss{origin.removeprefix('https')}{address}",
        ssl=behind.tls,
        origin=Origin(origin),
        additional_headers={"Cookie": cookies},
        proxy=None,
    ) as live:
        assert json.loads(live.recv(timeout=60))["type"] == "tick"


def test_programs_send_large_files_and_are_told_public_addresses(behind: Behind) -> None:
    """nginx's own limit is 1 MB."""
    with behind.browser(f"https://127.0.0.1:{behind.nginx.port}{PREFIX}") as program:
        program.headers["Authorization"] = f"Bearer {behind.login['token']}"
        sent = program.post("/api/v1/uploads", files={"file": ("words.txt", b"words\n" * 400_000)})
        assert sent.status_code == 201, sent.text
        definition = {"name": "Flow", "text": DEFINITION}
        made = program.post("/api/v1/definitions", json=definition)
        assert made.status_code == 201, made.text
        assert made.json()["newest"]["url"].startswith(f"https://127.0.0.1:{behind.nginx.port}{PREFIX}/definitions/")


def test_browsers_speak_http_2_and_ipv6(behind: Behind) -> None:
    offered = ssl.create_default_context(cafile=str(behind.nginx.certificate))
    offered.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", behind.nginx.port), timeout=60) as raw,
        offered.wrap_socket(raw, server_hostname="127.0.0.1") as spoken,
    ):
        assert spoken.selected_alpn_protocol() == "h2"
    if not HAS_IPV6:
        return  # some containers have none
    with behind.browser(f"https://[::1]:{behind.nginx.port}") as browser:
        assert (log_in(browser).status_code, browser.get(f"{PREFIX}/batches/").status_code) == (302, 200)


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.conf")))
def test_examples_for_nginx_are_taken_by_it(example: str, tmp_path: Path) -> None:
    assert check(tmp_path, example) == ""


def test_examples_for_traefik_refer_to_what_they_have() -> None:
    static = yaml.safe_load((EXAMPLES / "traefik.yml").read_text())
    dynamic = yaml.safe_load((EXAMPLES / "traefik-canopy.yml").read_text())
    assert static["providers"]["file"]["filename"].endswith("/canopy.yml")
    http_part = dynamic["http"]
    for router in http_part["routers"].values():
        assert set(router) <= {"entryPoints", "rule", "service", "tls"}
        assert set(router["entryPoints"]) <= set(static["entryPoints"])
        assert router["service"] in http_part["services"]
    for service in http_part["services"].values():
        assert service["loadBalancer"]["serversTransport"] in http_part["serversTransports"]
