"""nginx from Debian, on loopback: a proxy before Temporal that asks for certificates and keys."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.certificates import Certificate
from tests.support.ports import free_port
from tests.support.stack import PORTS_TRIED, Process
from tests.support.waiting import wait_until

CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{}}
http {{
    log_format credentials "$ssl_client_s_dn $http_authorization $status";
    access_log {folder}/access.log credentials;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    map $http_authorization $is_known {{ default 0; {keys} }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key_file};
        ssl_client_certificate {clients}; ssl_verify_client on;
        keepalive_requests 1000000;
        client_max_body_size 0; grpc_read_timeout 600s; grpc_send_timeout 600s; client_body_timeout 600s;
        location / {{ if ($is_known = 0) {{ return 401; }} grpc_pass grpc://{temporal}; }}
    }}
}}
"""


class MutualTls:
    """A proxy before a Temporal: it lets in who has a certificate of its authorities, and one of its API keys."""

    def __init__(self, folder: Path, temporal: str, certificate: Certificate) -> None:
        self._folder, self._temporal, self._certificate = folder, temporal, certificate
        self.address = ""

    def start(self, authorities: list[Certificate], keys: list[str]) -> None:
        """Start on a free port; another program may take it first."""
        for _ in range(PORTS_TRIED):
            port = free_port()
            self.address = f"127.0.0.1:{port}"
            self.configure(authorities, keys)
            self.process = Process(["nginx", "-c", str(self._file)], self._folder / "nginx.log")
            self.process.start()
            wait_until(self._serves_or_has_ended, lambda: self.process.output)
            if self.process.is_running:
                return
        raise AssertionError(self.process.output)

    def _serves_or_has_ended(self) -> bool:
        return (self._folder / "nginx.pid").exists() or not self.process.is_running

    @property
    def _file(self) -> Path:
        return self._folder / "nginx.conf"

    def configure(self, authorities: list[Certificate], keys: list[str]) -> None:
        """Write which certificates and keys are let in."""
        clients = self._folder / "clients.pem"
        clients.write_text("".join(each.file.read_text() for each in authorities))
        text = CONFIGURATION.format(
            folder=self._folder,
            port=self.address.rpartition(":")[2],
            certificate=self._certificate,
            clients=clients,
            temporal=self._temporal,
            keys="".join(f'"Bearer {key}" 1; ' for key in keys),
            user="user root;" if Path("/proc/self").owner() == "root" else "",
        )
        self._file.write_text(text)

    def reconfigure(self, authorities: list[Certificate], keys: list[str]) -> None:
        """Let in others from the next connection on, and end those there are."""
        self.configure(authorities, keys)
        subprocess.run(["nginx", "-t", "-c", str(self._file)], check=True, capture_output=True, timeout=60)
        self.stop()
        self.process.start()

    def requests(self) -> list[str]:
        """Return who asked, and what the answer was: name of the certificate, key, status."""
        return (self._folder / "access.log").read_text().splitlines()

    def stop(self) -> None:
        """Stop at once."""
        if self.process.is_running:
            self.process.stop()
