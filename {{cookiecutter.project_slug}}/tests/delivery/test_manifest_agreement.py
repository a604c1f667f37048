"""Manifests, code, image, alerts and runbooks speak of the same things, whichever way one looks."""

import json
import os
import re
from collections.abc import Mapping, Sequence

import pytest
import yaml

from app import cli, telemetry_cost
from app.patterns import health
from app.settings import Settings, load, load_probe
from dev import up
from dev.delivery import falco
from dev.delivery.kustomize import VARIANTS, Object
from dev.delivery.manifests import Manifests, name_of
from dev.delivery.process_rules import LISTENS, PROBES, port_of
from dev.delivery.variables import all_variables, variables
from dev.environment import ROOT, project_name
from dev.telemetry_policy.places import read as read_policy
from tests.support.flag_rules import declarations

RUNBOOKS = [*(ROOT / "docs" / "runbooks").glob("*.md")]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
# Secrets that a service may do without; whoever needs one adds it to deploy/k8s/base/secrets.yaml.
OPTIONAL = {"APP_REPLICAS__URLS", "APP_AUDIT_LOG__SIGNING_KEY", "APP_FEATURE_FLAGS__TOKEN"}
COMPONENT = "app.kubernetes.io/component"


@pytest.fixture(params=VARIANTS)
def manifests(request: pytest.FixtureRequest, rendered: Mapping[str, Sequence[Object]]) -> Manifests:
    """Return each variant."""
    return Manifests(rendered[request.param])


def test_what_runbooks_operate_is_there(manifests: Manifests) -> None:
    """Each `deployment/...` in a runbook, in the namespace that is named after the service."""
    named = {found for page in RUNBOOKS for found in re.findall(r"\bdeployment/([a-z]+)", page.read_text())}

    assert named == {"http", "worker", "probe"}
    assert {f"Deployment/{name}" for name in named} <= {*map(name_of, manifests.objects)}
    assert {found["metadata"].get("namespace") for found in manifests.objects if found["kind"] != "Namespace"} == {
        project_name()
    }
    assert [name_of(found) for found in manifests.of("Namespace")] == [f"Namespace/{project_name()}"]


def test_every_command_that_stays_has_its_process(manifests: Manifests) -> None:
    """And each is started once; what ends by itself is a job."""
    started = [process.command[0] for process in manifests.processes if process.is_ours]

    assert sorted(started) == sorted([*LISTENS, "migrate", "partitions", "retention"])
    assert LISTENS.keys() <= {*cli.COMMANDS, *cli.CLIENTS}
    assert {
        process.command[0]
        for process in manifests.processes
        if process.where.startswith("Deployment/") and process.is_ours
    } == {*LISTENS}


def test_every_process_accepts_its_settings(manifests: Manifests, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any value for what only secrets have, its settings can be read, and are of the place that it is for."""
    secrets = {"APP_BROKER__URL": "nats://broker", "APP_DATABASE__URL": "postgresql+asyncpg://db/app"}
    for process in (process for process in manifests.processes if process.is_ours):
        with monkeypatch.context() as patch:
            for name in (name for name in os.environ if name.startswith(("APP_", "OTEL_"))):
                patch.delenv(name)
            for name, value in manifests.environment(process).items():
                patch.setenv(name, secrets.get(name, "of sixteen letters") if value is None else value)
            settings = load_probe() if process.command == ["probe"] else load()
        assert settings.service == project_name()
        assert settings.env in ("development", "staging", "production")


def test_every_secret_has_its_place(manifests: Manifests) -> None:
    """What a setting calls a secret comes from an ExternalSecret, but for those that one can do without."""
    secret = {name for name, variable in all_variables().items() if variable.secret}
    given = {
        key for found in manifests.of("ExternalSecret") for key in manifests.keys_of_secret(found["metadata"]["name"])
    }

    assert secret - given == OPTIONAL
    assert given - secret == {"client-secret"}


def test_the_secret_of_the_probe_is_where_it_looks(manifests: Manifests) -> None:
    """Its file is in a volume of that secret."""
    probe = next(process for process in manifests.processes if process.command == ["probe"])
    folder, _, name = str(manifests.environment(probe)["APP_PROBE__CLIENT_SECRET_FILE"]).rpartition("/")
    volume = next(each["name"] for each in probe.container["volumeMounts"] if each["mountPath"] == folder)
    secret = next(each["secret"]["secretName"] for each in probe.pod["volumes"] if each["name"] == volume)

    assert manifests.keys_of_secret(secret) == [name]


def test_the_image_is_the_one_of_the_dockerfile(manifests: Manifests) -> None:
    """Its user, and the ports that it says it listens on, which are those of the settings."""
    user, group = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[-1]
    exposed = {int(port) for port in re.findall(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)[0].split()}
    ours = [process for process in manifests.processes if process.is_ours]

    assert {(each.pod["securityContext"]["runAsUser"], each.pod["securityContext"]["runAsGroup"]) for each in ours} == {
        (int(user), int(group))
    }
    assert exposed <= {port_of(manifests, process) for process in ours}
    assert {process.container["volumeMounts"][0]["mountPath"] for process in ours} == {"/tmp"}


def test_rules_find_every_process_that_they_ask_for(manifests: Manifests) -> None:
    """A `job` in an alert is that of a process that is scraped, or of a question from outside; so are their labels."""
    asked = {*re.findall(r'job="([a-z-]+)"', (ROOT / "ops" / "alerts.yaml").read_text())}
    monitor = next(manifests.of("PodMonitor"))["spec"]
    scraped = {process.labels[monitor["jobLabel"]] for process in manifests.selected(monitor["selector"])}
    outside = {found["spec"]["jobName"] for found in manifests.of("Probe")}

    assert asked - {"alertmanager"} == scraped | outside
    made = {each["targetLabel"]: each["sourceLabels"] for each in monitor["podMetricsEndpoints"][0]["relabelings"]}
    assert made["instance"] == ["__meta_kubernetes_pod_name"]
    assert made["service"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_name"]
    assert {process.labels["app.kubernetes.io/name"] for process in manifests.processes} == {project_name()}
    for found in manifests.of("Probe"):
        assert found["spec"]["targets"]["staticConfig"]["labels"] == {"service": project_name()}


def test_the_waf_passes_on_to_the_service(rendered: Mapping[str, Sequence[Object]]) -> None:
    """By the whole name of its Service, and no smaller bodies than it takes."""
    manifests = Manifests(rendered["waf"])
    given = manifests.environment(next(each for each in manifests.processes if not each.is_ours))
    port = next(found for found in manifests.of("Service") if found["metadata"]["name"] == "http")["spec"]["ports"][0]

    assert given["BACKEND"] == f"http://http.{project_name()}.svc.cluster.local:{port['port']}"
    assert given["MODSEC_REQ_BODY_NOFILES_LIMIT"] == str(all_variables()["APP_HTTP__MAX_BODY_BYTES"].default)


def test_questions_from_outside_are_those_of_the_exporter(manifests: Manifests) -> None:
    """Each module that is asked for is in ops/blackbox."""
    modules = yaml.safe_load((ROOT / "ops" / "blackbox" / "blackbox.yaml").read_text())["modules"]

    assert {found["spec"]["module"] for found in manifests.of("Probe")} <= modules.keys()


def test_a_canary_is_found_by_the_name_of_its_pods(manifests: Manifests) -> None:
    """The analysis asks for pods of a Rollout that is called as it is."""
    for template in manifests.of("AnalysisTemplate"):
        queries = [metric["provider"]["prometheus"]["query"] for metric in template["spec"]["metrics"]]
        asked = {found for query in queries for found in re.findall(r'instance=~"(\w+)-\{\{args', query)}
        assert asked == {found["metadata"]["name"] for found in manifests.of("Rollout")}
        assert all(f'service=~"{project_name()}"' in query for query in queries)


def test_what_comes_before_the_processes_is_enough_for_the_migration(manifests: Manifests) -> None:
    """What `make deploy` brings first is the Job with all that it needs, and none of the processes."""
    before = Manifests(
        [
            found
            for found in manifests.objects
            if found["metadata"].get("labels", {}).get(COMPONENT) not in ("http", "worker", "probe")
        ]
    )
    chosen = {*map(name_of, before.objects)}
    job = next(process for process in before.processes if process.where == "Job/migrate")

    assert job.pod["serviceAccountName"] == "migrate"
    assert {"ServiceAccount/migrate", "ExternalSecret/logins", "ExternalSecret/owner-login"} <= chosen
    assert {"NetworkPolicy/to-database", "NetworkPolicy/to-dns", f"Namespace/{project_name()}"} <= chosen
    assert before.environment(job).keys() >= {name for name, each in variables(Settings).items() if each.required}
    assert not {"Deployment/http", "Deployment/worker", "Deployment/probe", "Rollout/http"} & chosen


def test_argo_cd_comes_to_the_migration_after_what_it_needs(manifests: Manifests) -> None:
    """Each in an earlier wave, the namespace first; and to every process after it."""
    job = next(process for process in manifests.processes if process.where == "Job/migrate")
    wave = wave_of(manifests, "Job", "migrate")
    needed = [("ServiceAccount", "migrate"), ("Namespace", project_name())]
    for source in job.container["envFrom"]:
        kind = "ConfigMap" if "configMapRef" in source else "ExternalSecret"
        needed.append((kind, next(iter(source.values()))["name"]))

    assert {name: wave_of(manifests, *name) < wave for name in needed} == dict.fromkeys(needed, True)
    assert wave_of(manifests, "Namespace", project_name()) == min(wave_of(manifests, *name) for name in needed)
    assert all(wave_of(manifests, "Deployment", name) > wave for name in ("http", "worker", "probe"))


def wave_of(manifests: Manifests, kind: str, name: str) -> int:
    """Return when Argo CD comes to an object."""
    found = manifests.named(kind, name)
    assert found is not None, name
    return int(found["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))


def test_the_probe_can_be_applied_alone(manifests: Manifests) -> None:
    """To another cluster: with the namespace and all that its label chooses, it needs nothing else."""
    assert PAGE.count("app.kubernetes.io/component in (namespace, probe)") == 1
    alone = Manifests(
        [
            found
            for found in manifests.objects
            if found["metadata"].get("labels", {}).get(COMPONENT) in ("namespace", "probe")
        ]
    )
    chosen = {*map(name_of, alone.objects)}

    assert [process.where for process in alone.processes] == ["Deployment/probe"]
    assert alone.environment(alone.processes[0]) == manifests.environment(
        next(process for process in manifests.processes if process.command == ["probe"])
    )
    assert {"ServiceAccount/probe", "ExternalSecret/probe-client", "PodMonitor/processes"} <= chosen
    assert {"NetworkPolicy/default-deny", "NetworkPolicy/to-dns", "NetworkPolicy/to-internet"} <= chosen


def test_falco_expects_the_connections_that_policies_allow(rendered: Mapping[str, Sequence[Object]]) -> None:
    """No more, and no fewer."""
    allowed = {
        port["port"]
        for policy in Manifests(rendered["production"]).of("NetworkPolicy")
        for rule in policy["spec"].get("egress", ())
        for port in rule["ports"]
    }

    assert falco.ports(falco.SOURCE.read_text()) == allowed


def test_rules_of_flags_are_where_processes_look(rendered: Mapping[str, Sequence[Object]]) -> None:
    """With the component `flags`: the file that the setting names, with flags that there are."""
    manifests = Manifests(rendered["waf"])
    registered = {flag.name for module in declarations().values() for flag in module.REGISTERED}
    for process in (each for each in manifests.processes if each.is_ours and each.command in (["serve"], ["worker"])):
        mount = next(each["mountPath"] for each in process.container["volumeMounts"] if each["name"] == "flags")
        volume = next(each["configMap"]["name"] for each in process.pod["volumes"] if each["name"] == "flags")
        files = manifests.named("ConfigMap", volume)
        assert files
        named = str(manifests.environment(process)["APP_FEATURE_FLAGS__BOOTSTRAP_FILE"]).removeprefix(f"{mount}/")
        assert {each["name"] for each in json.loads(files["data"][named])["features"]} <= registered


def test_what_is_traced_is_what_the_policy_says(rendered: Mapping[str, Sequence[Object]]) -> None:
    """Everything in development; elsewhere nobody says otherwise than the default, which is the policy's."""
    ratio = "APP_TRACING__RATIO"
    told = {
        name: Manifests(objects).environment(process).get(ratio)
        for name, objects in rendered.items()
        for process in Manifests(objects).processes
        if process.command == ["serve"]
    }

    development = read_policy().sampling.traces.head_ratio.development
    assert told == {name: str(development) if name == "dev" else None for name in rendered}


def test_probes_ask_what_there_is_to_ask() -> None:
    """Everything that health.py answers; and the image, its page and `make up` mean the same ports and probes."""
    assert {*PROBES.values()} == health.PATHS
    ready, alive = PROBES["readinessProbe"], PROBES["livenessProbe"]
    ports = {name: all_variables()[f"{prefix}PORT"].default for name, prefix in LISTENS.items()}
    row = r"^\| `(\w+)`[^|]*\|[^|]*\| (\d+) \| `(/\w+)` \| `(/\w+)` \|$"
    page = (ROOT / "docs" / "image.md").read_text()

    assert re.findall(row, page, re.MULTILINE) == [(name, str(port), ready, alive) for name, port in ports.items()]
    assert f"http://127.0.0.1:{ports['serve']}{alive}'" in DOCKERFILE
    assert [f"http://127.0.0.1:{ports[name]}" for name in ("serve", "worker")] == [*telemetry_cost._UP]
    assert {name: port for port, name in up.PORTS.values() if name.startswith("APP_")} == {
        f"{prefix}PORT": ports[name] for name, prefix in LISTENS.items()
    }


def test_the_page_tells_how_long_a_process_takes_to_stop(manifests: Manifests) -> None:
    """And which secrets there are."""
    http = next(process for process in manifests.processes if process.command == ["serve"])
    given = manifests.environment(http)
    drain, shutdown = given["APP_HTTP__DRAIN_SECONDS"], given["APP_HTTP__SHUTDOWN_SECONDS"]

    said = re.findall(r"looks unready for (\d+) seconds .* within (\d+), and is killed after (\d+)\.", PAGE)
    assert said == [(drain, shutdown, str(http.pod["terminationGracePeriodSeconds"]))]
    (row,) = re.findall(r"^\| ExternalSecret \| from the store `secrets`: (.+) \|$", PAGE, re.MULTILINE)
    secrets = {found["metadata"]["name"] for found in manifests.of("ExternalSecret")}
    assert {*re.findall(r"`([\w-]+)`", row)} - {"http", "worker", "probe"} == secrets
