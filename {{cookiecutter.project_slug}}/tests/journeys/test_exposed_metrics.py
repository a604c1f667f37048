"""What all processes expose is what docs/metrics.md says: no metric more, none less, each with its type and labels."""

import asyncio
import re
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from dev.environment import PROBE
from dev.http_server import serving
from tests.support.metrics_page import rows
from tests.support.probing import RunningProbe
from tests.support.running_service import ORDER, RunningService


class Exposed:
    """The metrics of a process, in the text format."""

    def __init__(self, text: str) -> None:
        self.kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        self.labels: dict[str, set[str]] = defaultdict(set)
        self.series = 0
        for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
            self.series += 1
            self.labels[self._metric(name)] |= set(re.findall(r'(\w+)="', labels)) - {"le"}

    def _metric(self, sample: str) -> str:
        return sample if sample in self.kinds else re.sub(r"_(bucket|sum|count)$", "", sample)


@pytest.fixture(scope="module")
def exposed(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exposed]:
    """All processes after an order has run through them, by their names."""
    secret = tmp_path_factory.mktemp("probe") / "secret"
    secret.write_text("opens-the-door")
    service.issuer.clients[PROBE] = secret
    return asyncio.run(_scraped(service, secret))


def test_every_metric_of_the_processes_is_on_the_page(exposed: dict[str, Exposed]) -> None:
    """With its type: whoever writes an alert or a dashboard finds all there is."""
    found = {name: kind for process in exposed.values() for name, kind in process.kinds.items()}

    assert found == {name: row.kind for name, row in rows().items()}


@pytest.mark.parametrize("process", ["serve", "worker", "probe"])
def test_a_metric_has_the_labels_that_the_page_says(exposed: dict[str, Exposed], process: str) -> None:
    """Whatever has been counted so far, under these labels and no others."""
    labels = exposed[process].labels

    assert {name: found for name, found in labels.items() if found != rows()[name].label_names} == {}
    assert {"http_server_request_duration_seconds", "orders_settled_total"} <= labels.keys() or process != "serve"


@pytest.mark.parametrize("process", ["serve", "worker", "probe"])
def test_a_process_that_has_done_little_exposes_little(exposed: dict[str, Exposed], process: str) -> None:
    """The page says about how much."""
    assert 100 < exposed[process].series < 600


@pytest.mark.parametrize("process", ["serve", "worker"])
def test_the_probes_metrics_are_its_own(exposed: dict[str, Exposed], process: str) -> None:
    """In another process they would say for ever that nothing succeeds."""
    own = {name for name in exposed["probe"].kinds if name.startswith("synthetic_journey_")}

    assert len(own) == 7
    assert own & exposed[process].kinds.keys() == set()


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("worker_job_crashes_total", {"job_name": "relay"}),
        ("inbox_messages_handled_total", {"consumer": "order-timeline", "outcome": "failed"}),
        ("outbox_pass_failures_total", {"reason": "broker"}),
        ("orders_settled_total", {"state": "refused"}),
    ],
)
async def test_a_counter_is_there_before_its_first_event(
    service: RunningService, name: str, labels: dict[str, str]
) -> None:
    """With the value 0: the first crash is then an increase, and not a new series that rate() passes over."""
    samples = await service.samples(service.worker_url)

    assert [sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)] == [0]


async def test_counters_have_no_second_series(service: RunningService) -> None:
    """Not in OpenMetrics either, where the client library would tell for each when it was made."""
    assert [sample.name for sample in await service.samples() if sample.name.endswith("_created")] == []


async def test_nothing_has_overflown(service: RunningService) -> None:
    """The declarations have room for all that the service itself does."""
    for url in (service.url, service.worker_url):
        overflows = [sample for sample in await service.samples(url) if sample.name == "metric_label_overflow_total"]

        assert len(overflows) > 20
        assert [sample.labels for sample in overflows if sample.value] == []


async def _scraped(service: RunningService, secret: Path) -> dict[str, Exposed]:
    async with service.client() as client:
        placed = await client.post("/v1/orders", json=ORDER)
        await service.in_state(client, placed.json()["id"], "placed", "order.placed")
    with ExitStack() as stack:
        tokens = stack.enter_context(serving(service.issuer.app()))
        probe = RunningProbe(base_url=service.url, token_url=f"{tokens}/token", secret_file=secret)
        stack.callback(probe.process.process.stop)
        await probe.start()
        await probe.succeeds()
        urls = {"serve": service.url, "worker": service.worker_url, "probe": probe.url}
        async with httpx.AsyncClient() as client:
            return {name: Exposed((await client.get(f"{url}/metrics")).text) for name, url in urls.items()}
