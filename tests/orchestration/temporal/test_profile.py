"""Where Temporal is comes from its own variables and profiles; what cannot work names the variable and the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.service import TLSConfig

from orchestration.temporal.data_converter import KEYS
from orchestration.temporal.profile import InvalidProfile, connection_of_environment, names_a_server
from tests.support.certificates import Certificate, authority
from tests.support.stack import ROOT

PROFILES = """
[profile.default]
address = "default.test:7233"

[profile.cloud]
address = "cloud.test:7233"
namespace = "orders.a1b2c"
api_key = "key of the profile"
[profile.cloud.grpc_meta]
Team_Name = "orders"
[profile.cloud.codec]
endpoint = "https://codec.test/{namespace}/"
auth = "Bearer codec"
"""


@pytest.fixture
def profiles(tmp_path: Path) -> dict[str, str]:
    """An environment with profiles."""
    (tmp_path / "temporal.toml").write_text(PROFILES)
    return {"TEMPORAL_CONFIG_FILE": str(tmp_path / "temporal.toml"), "HOME": str(tmp_path)}


@pytest.fixture(scope="module")
def client_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A client's certificate, beside that of its authority."""
    return authority("ca", tmp_path_factory.mktemp("certificates")).sign("client")


def test_without_variables_it_is_on_this_machine(tmp_path: Path) -> None:
    found = connection_of_environment({"HOME": str(tmp_path), "TEMPORAL_ADDRESS": "", "TEMPORAL_TLS": ""})
    assert (found.address, found.namespace, found.api_key) == ("127.0.0.1:7233", "default", "")
    assert not found.has_tls


@pytest.mark.parametrize(
    ("given", "tls"), [("1", True), ("true", True), ("Yes", True), ("on", True), ("0", False), ("off", False)]
)
def test_variables_of_before_mean_what_they_did(tmp_path: Path, given: str, tls: bool) -> None:
    own = {"HOME": str(tmp_path), "TEMPORAL_ADDRESS": "a:1", "TEMPORAL_NAMESPACE": "n", "TEMPORAL_TLS": given}
    found = connection_of_environment(own)
    assert (found.address, found.namespace, found.has_tls) == ("a:1", "n", tls)


def test_an_api_key_alone_means_tls_and_loses_the_end_of_its_line(tmp_path: Path) -> None:
    found = connection_of_environment({"HOME": str(tmp_path), "TEMPORAL_API_KEY": "key\n"})
    assert (found.api_key, found.has_tls) == ("key", True)
    assert "key" not in repr(found)


def test_a_profile_says_everything_and_variables_go_before_it(profiles: dict[str, str]) -> None:
    assert connection_of_environment(profiles).address == "default.test:7233"
    found = connection_of_environment(
        {**profiles, "TEMPORAL_PROFILE": "cloud", "TEMPORAL_NAMESPACE": "own", "TEMPORAL_GRPC_META_X_MORE": "1"}
    )
    assert (found.address, found.namespace, found.api_key) == ("cloud.test:7233", "own", "key of the profile")
    assert found.metadata == {"team-name": "orders", "x-more": "1"}
    assert found.codec is not None
    assert (found.codec.endpoint, found.codec.auth) == ("https://codec.test/{namespace}", "Bearer codec")


def test_profiles_are_found_where_temporals_programs_look(profiles: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "xdg" / "temporalio"
    folder.mkdir(parents=True)
    Path(profiles["TEMPORAL_CONFIG_FILE"]).rename(folder / "temporal.toml")
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert connection_of_environment(environment).address == "default.test:7233"
    assert not names_a_server(environment)
    assert names_a_server({"TEMPORAL_PROFILE": "cloud"})


def test_a_certificate_is_shown_from_files_or_from_text(client_certificate: Certificate, tmp_path: Path) -> None:
    folder = client_certificate.file.parent
    by_path = connection_of_environment(
        {
            "HOME": str(tmp_path),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(client_certificate.file),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(client_certificate.key_file),
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(folder / "ca.pem"),
            "TEMPORAL_TLS_SERVER_NAME": "temporal.test",
        }
    )
    toml = tmp_path / "temporal.toml"
    toml.write_text(
        "[profile.default.tls]\nserver_name = 'temporal.test'\n"
        f"client_cert_data = '''{client_certificate.file.read_text()}'''\n"
        f"client_key_data = '''{client_certificate.key_file.read_text()}'''\n"
        f"server_ca_cert_data = '''{(folder / 'ca.pem').read_text()}'''\n"
    )
    by_text = connection_of_environment({"TEMPORAL_CONFIG_FILE": str(toml)})
    assert by_path == by_text
    assert by_path.tls == TLSConfig(
        server_root_ca_cert=(folder / "ca.pem").read_bytes(),
        domain="temporal.test",
        client_cert=client_certificate.file.read_bytes(),
        client_private_key=client_certificate.key_file.read_bytes(),
    )
    assert "PRIVATE" not in repr(by_path)


def test_a_key_is_read_again_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first\n")
    found = connection_of_environment({"HOME": str(tmp_path), "TEMPORAL_API_KEY_FILE": str(file)})
    file.write_text("second\n")
    assert found.source is not None
    assert (found.api_key, found.source().api_key) == ("first", "second")


def refused(tmp_path: Path, **given: str) -> str:
    with pytest.raises(InvalidProfile) as raised:
        connection_of_environment({"HOME": str(tmp_path), **given})
    return str(raised.value)


def test_a_file_that_is_missing_is_named_with_its_variable(tmp_path: Path) -> None:
    for name in (
        "CONFIG_FILE",
        "API_KEY_FILE",
        "TLS_CLIENT_CERT_PATH",
        "TLS_CLIENT_KEY_PATH",
        "TLS_SERVER_CA_CERT_PATH",
    ):
        said = refused(tmp_path, **{f"TEMPORAL_{name}": "/not/there"})
        assert said.startswith(f"TEMPORAL_{name} names /not/there, which "), said


def test_a_profile_or_file_that_does_not_fit_is_named(profiles: dict[str, str], tmp_path: Path) -> None:
    file = profiles["TEMPORAL_CONFIG_FILE"]
    assert refused(tmp_path, **profiles, TEMPORAL_PROFILE="prod") == (
        f"TEMPORAL_PROFILE is 'prod', but {file} has only: cloud, default."
    )
    assert refused(tmp_path, TEMPORAL_PROFILE="prod").endswith("temporal.toml.")
    for wrong, word in (("[profile.default", "is not valid TOML"), ("[profile.default]\naddress = 7", "string")):
        Path(file).write_text(wrong)
        said = refused(tmp_path, **profiles)
        assert file in said
        assert word in said


def test_certificates_that_cannot_work_are_named(client_certificate: Certificate, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_text("nothing")
    stranger = authority("stranger", tmp_path)
    paths = {"cert": str(client_certificate.file), "key": str(client_certificate.key_file)}

    def given(cert: str = "", key: str = "") -> dict[str, str]:
        return {"TEMPORAL_TLS_CLIENT_CERT_PATH": cert, "TEMPORAL_TLS_CLIENT_KEY_PATH": key}

    assert "is no certificate" in refused(tmp_path, TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(nothing))
    assert "is no certificate" in refused(tmp_path, **given(str(nothing), paths["key"]))
    assert "is no private key" in refused(tmp_path, **given(paths["cert"], str(nothing)))
    assert "without its private key" in refused(tmp_path, **given(cert=paths["cert"]))
    assert "without its certificate" in refused(tmp_path, **given(key=paths["key"]))
    assert "is not the key of" in refused(tmp_path, **given(paths["cert"], str(stranger.key_file)))


def test_what_cannot_be_done_is_refused_instead_of_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profiles: dict[str, str]
) -> None:
    assert "DISABLE_HOST_VERIFICATION" in refused(tmp_path, TEMPORAL_TLS_DISABLE_HOST_VERIFICATION="true")
    assert "TEMPORAL_TLS is 'perhaps'" in refused(tmp_path, TEMPORAL_TLS="perhaps")
    assert "both set" in refused(tmp_path, TEMPORAL_API_KEY="a", TEMPORAL_API_KEY_FILE="/b")
    assert "TEMPORAL_CODEC_ENDPOINT is" in refused(tmp_path, TEMPORAL_CODEC_ENDPOINT="codec.test")
    monkeypatch.setenv(KEYS, "key")
    assert "both set" in refused(tmp_path, TEMPORAL_CODEC_ENDPOINT="https://codec.test")


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "uvicorn", "dashboard.asgi:application", "--port", "0"],
        ["manage.py", "worker"],
        ["manage.py", "run"],
        ["-m", "dashboard.cli", "worker", "--queue", "heavy", "--remote"],
    ],
    ids=["web", "worker", "run", "remote worker"],
)
def test_no_process_starts_and_each_says_why_in_a_line(command: list[str], tmp_path: Path) -> None:
    own = {"TEMPORAL_TLS_CLIENT_CERT_PATH": "/not/there.pem", "CANOPY_HOME": str(tmp_path), "CANOPY_TOKEN": "token"}
    own |= {"CANOPY_URL": "http://127.0.0.1:1", "PORT": "0"}
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | own,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "TEMPORAL_TLS_CLIENT_CERT_PATH names /not/there.pem, which cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
