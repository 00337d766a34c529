"""nginx on loopback, with TLS by a certificate of its own, from a file of docs/deployment/proxies."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from tests.support.certificates import authority
from tests.support.ports import free_port
from tests.support.prepared import ROOT
from tests.support.stack import Process

try:
    socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    HAS_IPV6 = True
except OSError:
    HAS_IPV6 = False

USER = "user root;" if os.geteuid() == 0 else ""
"""Its workers write into folders that nobody else may enter."""

EXAMPLES = ROOT / "docs" / "deployment" / "proxies"

AROUND = """
daemon off; worker_processes 1; {user} pid {home}/nginx.pid; error_log {home}/nginx-error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log off; include /etc/nginx/mime.types;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxied; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
{inside}
}}
"""


class Nginx:
    """An example's server on ports of its own; further ones for other spellings of its address and of `proxy_pass`."""

    def __init__(self, home: Path, example: str, web_port: int) -> None:
        self.home, self.port, self.stripping_port = home, free_port(), free_port()
        text = (EXAMPLES / example).read_text().replace("127.0.0.1:8000", f"127.0.0.1:{web_port}")
        head, server = text.split("server {\n    listen 443", 1)
        stripping = server.replace("proxy_pass http://canopy;", "proxy_pass http://canopy/;")
        assert stripping != server
        servers = [(server, self.port), (stripping, self.stripping_port)]
        inside = head + "".join(self._server(each, port) for each, port in servers)
        self.certificate = authority("tls", home).file
        config = home / "nginx.conf"
        config.write_text(AROUND.format(home=home, inside=inside, user=USER))
        self.command = [_program(), "-c", str(config), "-e", str(home / "nginx-error.log"), "-p", str(home)]
        self.process = Process(self.command, home / "nginx.log")

    def _server(self, text: str, port: int) -> str:
        text = f"server {{\n    listen 443{text}"
        if not HAS_IPV6:
            text = text.replace("    listen [::]:443 ssl http2;", "    # listen [::]:443")
        for ours, theirs in {
            "listen 443": f"listen 127.0.0.1:{port}",
            "listen [::]:443": f"listen [::1]:{port}",
            "server_name example.org": "server_name _",
            "/etc/ssl/example.crt": str(self.home / "tls.pem"),
            "/etc/ssl/example.key": str(self.home / "tls.key"),
        }.items():
            assert ours in text, ours
            text = text.replace(ours, theirs)
        return text


def check(home: Path, example: str) -> str:
    """Return what nginx has to say against an example, but for its ports; nothing where it is right."""
    authority("tls", home)
    text = re.sub(r"/etc/ssl/\w+\.crt", f"{home}/tls.pem", (EXAMPLES / example).read_text())
    text = re.sub(r"/etc/ssl/\w+\.key", f"{home}/tls.key", text)
    for port in ("80", "443"):
        own = free_port()
        text = text.replace(f"listen {port}", f"listen 127.0.0.1:{own}").replace(f"[::]:{port}", f"127.0.0.2:{own}")
    config = home / "checked.conf"
    config.write_text(AROUND.format(home=home, inside=text, user=USER))
    command = [_program(), "-t", "-q", "-c", str(config), "-e", "stderr", "-p", str(home)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def _program() -> str:
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert found, "There is no nginx: run tests/support/install_debian.sh."
    return found
