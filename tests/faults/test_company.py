"""A company's network: Temporal behind mutual TLS and an API key that are replaced meanwhile, and traces."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from orchestration.contracts.names import CHUNK_WORKFLOW, FAN_OUT_WORKFLOW, NOTIFY_ACTIVITY
from tests.support.certificates import Certificate, authority
from tests.support.collector import Collector, collecting
from tests.support.forms import QUICK
from tests.support.nginx import MutualTls
from tests.support.ports import free_port
from tests.support.schedules import create_schedule, trigger
from tests.support.stack import Process, Stack, TemporalServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ELSEWHERE = "canopy-elsewhere"

PAGES = 12
"""Of ten children: their root continues as new at least once."""

FAILING = {"seconds_from": 0, "seconds_to": 0.01, "fail_percent": 100}

PROFILE = """
[profile.company]
address = "{address}"
namespace = "{namespace}"
[profile.company.tls]
server_name = "temporal.test"
server_ca_cert_path = "{folder}/company.pem"
client_cert_path = "{folder}/own.pem"
client_key_path = "{folder}/own.key"
"""


def show(folder: Path, certificate: Certificate, key: str) -> None:
    """Put other credentials where the profile names them, as whoever rotates them does."""
    for source, name in ((certificate.file, "own.pem"), (certificate.key_file, "own.key")):
        made = folder / f"{name}.new"
        made.write_bytes(source.read_bytes())
        made.rename(folder / name)
    (folder / "api-key").write_text(f"{key}\n")


def completes_a_batch(stack: Stack) -> None:
    parameters = {"seconds_from": 0, "seconds_to": 0.01, "fail_percent": 0}
    batch = stack.launch(processor="simulate", parameters=parameters, count=6, plan={"chunk_size": 2})
    assert stack.wait_for(batch, "completed")["items"]["completed"] == 6


@dataclass
class Company:
    """A stack in a company's network: its certificates, the proxy before Temporal, and where traces go."""

    folder: Path
    authority: Certificate
    proxy: MutualTls
    collector: Collector
    stack: Stack


@pytest.fixture(scope="module")
def company(stack_server: TemporalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The whole product behind a proxy that wants a certificate and a key, named by a profile; it is traced."""
    folder = Path(tmp_path_factory.mktemp("company"))
    namespace, own = f"company-{free_port()}", authority("company", folder)
    stack_server.cli("operator", "namespace", "create", "--namespace", namespace)
    proxy = MutualTls(folder, stack_server.address, own.sign("temporal.test"))
    proxy.start([own], ["first"])
    show(folder, own.sign("client"), "first")
    file = folder / "temporal.toml"
    file.write_text(PROFILE.format(address=proxy.address, namespace=namespace, folder=folder))
    profile = {"TEMPORAL_ADDRESS": "", "TEMPORAL_CONFIG_FILE": str(file), "TEMPORAL_PROFILE": "company"}
    with collecting() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        stack = Stack(stack_server, profile | traced | {"TEMPORAL_API_KEY_FILE": str(folder / "api-key")})
        try:
            stack.start()
            yield Company(folder, own, proxy, collector, stack)
        finally:
            stack.stop()
            proxy.stop()


@pytest.fixture
def worker_elsewhere(company: Company, tmp_path: Path) -> Iterator[str]:
    """A worker that has the dashboard's address alone, and its queue."""
    own = {name: value for name, value in company.stack.env.items() if name not in ("DATABASE_URL", "CANOPY_HOME")}
    own |= {"CANOPY_TOKEN": company.stack.login["token"], "OTEL_SERVICE_NAME": ELSEWHERE}
    command = [sys.executable, "-m", "dashboard.cli", "worker", "--queue", "heavy"]
    process = Process(command, tmp_path / "elsewhere.log", own)
    process.start()
    yield "heavy"
    process.stop()


def test_a_batch_is_one_trace_from_its_launch_to_its_rows_and_so_is_its_retry(company: Company) -> None:
    stack, collector = company.stack, company.collector
    trace, retried = token_hex(16), token_hex(16)
    body = {"processor": "simulate", "parameters": FAILING, "count": 4, "plan": {"chunk_size": 2, "item_attempts": 1}}
    answer = stack.api("POST", "/batches", body, traceparent=f"00-{trace}-{token_hex(8)}-01")
    assert answer.status_code == 201, answer.text
    batch = str(answer.json()["id"])
    stack.wait_for(batch, "failed", "completed_with_failures")
    root = ["POST /api/v1/batches", f"StartWorkflow:{FAN_OUT_WORKFLOW}"]
    child = [*root, f"StartChildWorkflow:{CHUNK_WORKFLOW}"]
    told = [*root, f"StartActivity:{NOTIFY_ACTIVITY}", f"RunActivity:{NOTIFY_ACTIVITY}", "write rows"]
    wait_until(lambda: collector.path(trace, "write rows") == told, lambda: str(collector.of(trace)))

    def reaches_its_items() -> bool:
        names = [each.partition(":")[0] for each in collector.path(trace, "process simulate")[len(child) :]]
        return names == ["StartActivity", "RunActivity", "process simulate"]

    wait_until(reaches_its_items, lambda: str(collector.of(trace)))
    assert collector.path(trace, "process simulate")[: len(child)] == child
    ran = f"RunWorkflow:{CHUNK_WORKFLOW}"
    assert collector.path(trace, ran) == [*child, ran]
    assert {each.service for each in collector.of(trace)} == {"canopy-web", "canopy-worker"}

    def processed() -> int:
        return sum(each.name == "process simulate" for each in collector.of(trace))

    def links() -> list[tuple[str, ...]]:
        return [each.links for each in collector.of(trace) if each.name == "retry"]

    wait_until(lambda: processed() == 4, lambda: str(collector.of(trace)))
    answer = stack.api(
        "POST", f"/batches/{batch}/retry", {"status": "failed"}, traceparent=f"00-{retried}-{token_hex(8)}-01"
    )
    assert answer.status_code == 202, answer.text
    wait_until(lambda: processed() == 8 and links() == [(retried,)], lambda: str(collector.of(trace)))


def test_what_continues_later_elsewhere_or_by_a_schedule_is_in_the_trace_of_its_launch(
    company: Company, worker_elsewhere: str
) -> None:
    stack, collector, trace = company.stack, company.collector, token_hex(16)
    plan = {"paged": True, "page_children": 10, "chunk_size": 1, "task_queue": worker_elsewhere}
    body = {"processor": "simulate", "parameters": QUICK, "count": PAGES * 10, "plan": plan}
    batch = stack.api("POST", "/batches", body, traceparent=f"00-{trace}-{token_hex(8)}-01").json()["id"]
    stack.wait_for(batch, "completed")
    schedule = create_schedule(stack, [], count=3)["id"]
    scheduled = trigger(stack, schedule, 1)
    stack.wait_for(scheduled, "completed")

    def processed(of: str) -> list[str]:
        return [each.service for each in collector.of(of) if each.name == "process simulate"]

    def is_whole() -> bool:
        begun = {workflow for workflow, _run in collector.runs(trace)}
        nodes = {node["workflow_id"] for kind in ("partition", "child") for node in stack.nodes(batch, kind=kind)}
        return len(processed(trace)) == PAGES * 10 and nodes < begun

    wait_until(is_whole, lambda: str(Counter(each.name for each in collector.of(trace))))
    assert len({run for workflow, run in collector.runs(trace) if workflow == f"batch-{batch}"}) > 1, "it continued"
    assert set(processed(trace)) == {ELSEWHERE}

    def launched() -> list[str]:
        return [each.trace for each in list(collector.spans) if each.name == "RunActivity:launch_scheduled"]

    (of_launch,) = wait_until(launched, "the launch of the schedule is told")
    wait_until(lambda: len(processed(of_launch)) == 3, lambda: str(collector.of(of_launch)))
    assert {workflow.partition("/")[0] for workflow, _run in collector.runs(of_launch)} == {f"batch-{scheduled}"}
    (child, *_others) = stack.nodes(scheduled, kind="child")
    assert (child["workflow_id"], child["run_id"]) in collector.runs(of_launch), "where its pane leads to"


def test_credentials_are_replaced_without_a_restart_and_refused_in_words(company: Company) -> None:
    folder, proxy, stack = company.folder, company.proxy, company.stack
    completes_a_batch(stack)
    following = authority("next company", folder)

    show(folder, following.sign("next client"), "second")
    proxy.reconfigure([following], ["second"])
    completes_a_batch(stack)
    assert "CN=next client Bearer second 200" in proxy.requests()

    (folder / "api-key").write_text("third\n")
    proxy.reconfigure([following], ["third"])
    completes_a_batch(stack)
    assert "CN=next client Bearer third 200" in proxy.requests()
    assert stack.worker.is_running
    assert stack.web.is_running

    show(folder, company.authority.sign("client"), "third")
    stranger = Process([sys.executable, "manage.py", "worker", "--queue", "other"], folder / "stranger.log", stack.env)
    stranger.start()
    try:
        wait_until(lambda: "refuses the client certificate" in stranger.output, lambda: stranger.output)
    finally:
        stranger.stop()
