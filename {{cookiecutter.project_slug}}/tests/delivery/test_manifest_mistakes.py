"""A mistake in a manifest is told: by the rules of this house, by schemas, or by policies."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pytest

from dev.delivery.check_manifests import by_custom_schemas, by_policies, by_rules, by_schemas
from dev.delivery.kustomize import Object
from tests.support.manifest_mistakes import CONTAINER, GONE, HTTP, Mistake, with_mistake
from tests.support.needing_tools import WithTools

Changed = Callable[[Mapping[str, Mistake]], Sequence[Object]]

RULES = {
    "wrong port": Mistake("Deployment/http", f"{CONTAINER}.ports.0.containerPort", 8080, r"ports are \[8080\]"),
    "settings with another port": Mistake("ConfigMap/settings", "data.APP_HTTP__PORT", "9000", "listens on 9000"),
    "service port where nothing listens": Mistake("Service/http", "spec.ports.0.targetPort", 80, "is not where"),
    "latest": Mistake("Deployment/worker", f"{CONTAINER}.image", "unanswered-name:latest", "neither a tag nor"),
    "latest, before the others start": Mistake(
        "Deployment/http",
        "spec.template.spec.initContainers",
        [{"name": "wait", "image": "wait:latest"}],
        "neither a tag",
    ),
    "no tag": Mistake("CronJob/retention", "spec.jobTemplate.spec.template.spec.containers.0.image", "x", "a tag nor"),
    "another image": Mistake("Job/migrate", f"{CONTAINER}.image", "registry/web:1", "its image is called registry/web"),
    "liveness on no path": Mistake(
        "Deployment/http", f"{CONTAINER}.livenessProbe.httpGet.path", "/healthz", "asks /healthz, which nothing answers"
    ),
    "liveness that asks dependencies": Mistake(
        "Deployment/http", f"{CONTAINER}.livenessProbe.httpGet.path", "/readyz", "asks /readyz, and not /livez"
    ),
    "no readiness": Mistake("Deployment/worker", f"{CONTAINER}.readinessProbe", GONE, "it has no readinessProbe"),
    "probe on a port that is not there": Mistake(
        "Deployment/probe", f"{CONTAINER}.startupProbe.httpGet.port", "web", "startupProbe asks web, where nothing"
    ),
    "secret in a ConfigMap": Mistake(
        "ConfigMap/settings", "data.APP_DATABASE__URL", "postgresql+asyncpg://db/app", "is a secret, and its value is"
    ),
    "password in an address": Mistake(
        "ConfigMap/settings",
        "data.APP_PAYMENTS__URL",
        "https://me:secret@payments",
        "APP_PAYMENTS__URL holds a password",
    ),
    "what is no secret, hidden": Mistake(
        "ExternalSecret/logins", "spec.data.1.secretKey", "APP_LOGGING__LEVEL", "LEVEL is no secret"
    ),
    "unknown variable": Mistake("ConfigMap/settings", "data.APP_HTTP__PROT", "1", "APP_HTTP__PROT is no setting"),
    "variable of another process": Mistake(
        "ConfigMap/probe-settings", "data.APP_HTTP__PORT", "1", "Deployment/probe: APP_HTTP__PORT is no setting of it"
    ),
    "required variable missing": Mistake(
        "ConfigMap/settings", "data.APP_AUTHENTICATION__ISSUER", GONE, "Job/migrate: APP_AUTHENTICATION__ISSUER is req"
    ),
    "required secret missing": Mistake("ExternalSecret/logins", "spec.data.0", GONE, "APP_DATABASE__URL is required"),
    "no command": Mistake(
        "Deployment/worker", f"{CONTAINER}.args", GONE, r"ports are \[8001\], and it listens on 8000"
    ),
    "past the entry point": Mistake(
        "Deployment/http", f"{CONTAINER}.command", ["sh"], "its entry point is the image's"
    ),
    "unknown command": Mistake("Deployment/worker", f"{CONTAINER}.args", ["wroker"], "no such command: app wroker"),
    "token of the cluster": Mistake(
        "Deployment/http", "spec.template.spec.automountServiceAccountToken", GONE, "it has a token of the cluster"
    ),
    "login of the owner for everybody": Mistake(
        "Deployment/http",
        f"{CONTAINER}.envFrom.1.secretRef.name",
        "owner-login",
        "Deployment/http: it has APP_MIGRATIONS__DATABASE_URL, and",
    ),
    "all tenants' rows for who answers requests": Mistake(
        "Deployment/http", f"{CONTAINER}.envFrom.2.secretRef.name", "jobs-login", "it has APP_DATABASE__JOBS_URL, and"
    ),
    "worker without its login": Mistake(
        "Deployment/worker", f"{CONTAINER}.envFrom.2", GONE, "Deployment/worker: it needs APP_DATABASE__JOBS_URL"
    ),
    "migrations without the owner": Mistake("Job/migrate", f"{CONTAINER}.envFrom.2", GONE, "it needs APP_MIGRATIONS__"),
    "killed while it drains": Mistake(
        "Deployment/http",
        "spec.template.spec.terminationGracePeriodSeconds",
        30,
        "is killed after 30 s, and may need 30",
    ),
    "drains too shortly": Mistake("ConfigMap/settings", "data.APP_HTTP__DRAIN_SECONDS", "3", "drains for 3 s, and is"),
    "service without a selector": Mistake(
        "Service/http", "spec.selector", GONE, "Service/http: its selector matches no"
    ),
    "service that selects nothing": Mistake("Service/http", f"spec.selector.{HTTP}", "web", "selector matches nothing"),
    "pods that are not its own": Mistake(
        "Deployment/worker", f"spec.selector.matchLabels.{HTTP}", "http", "does not match its own pods"
    ),
    "budget of nothing": Mistake(
        "PodDisruptionBudget/worker",
        f"spec.selector.matchLabels.{HTTP}",
        "x",
        "PodDisruptionBudget/worker: its selector",
    ),
    "collector on another port": Mistake(
        "ConfigMap/settings", "data.APP_TRACING__OTLP_ENDPOINT", "http://collector:4319", "ENDPOINT leads to port 4319"
    ),
    "flag server that nobody is let out to": Mistake(
        "ConfigMap/settings", "data.APP_FEATURE_FLAGS__URL", "http://unleash:4242/api", "FLAGS__URL leads to port 4242"
    ),
    "question from outside that nobody answers": Mistake(
        "Probe/readiness", "spec.targets.staticConfig.static.0", "https://host/healthz", "/healthz is not for strangers"
    ),
    "autoscaler of nothing": Mistake(
        "HorizontalPodAutoscaler/http", "spec.scaleTargetRef.name", "web", "there is no Rollout/web"
    ),
    "autoscaler by an unknown metric": Mistake(
        "HorizontalPodAutoscaler/http", "spec.metrics.1.pods.metric.name", "requests", "requests is no gauge"
    ),
    "replicas beside an autoscaler": Mistake(
        "Deployment/http", "spec.replicas", 3, "its replicas are those of", "plain"
    ),
    "pods that nothing judges": Mistake(
        "Deployment/http", "spec.replicas", GONE, "Rollout/http has its pods, and nothing would judge those of its own"
    ),
    "no bound for all together": Mistake("ResourceQuota/quota", "kind", "Quota", "Namespace: it has no ResourceQuota"),
    "no bound for each": Mistake("LimitRange/limits", "kind", "Limits", "Namespace: it has no LimitRange"),
    "no room for three times the pods": Mistake(
        "ResourceQuota/quota", "spec.hard.pods", "40", "pods is 40, and 4", "blue-green"
    ),
    "quota too small": Mistake("ResourceQuota/quota", "spec.hard.pods", "10", "pods is 10, and 3"),
    "no account": Mistake("Deployment/http", "spec.template.spec.serviceAccountName", "web", "no ServiceAccount/web"),
    "monitor of a port that is not there": Mistake(
        "PodMonitor/processes", "spec.podMetricsEndpoints.0.port", "metrics", "has no port called metrics"
    ),
    "monitor of another path": Mistake(
        "PodMonitor/processes",
        "spec.podMetricsEndpoints.0.path",
        "/metric",
        "metrics are at /metrics, and not at /metric",
    ),
    "past the ingress": Mistake(
        "Service/http", "spec.type", "LoadBalancer", "a LoadBalancer is a way past the ingress"
    ),
    "no certificate": Mistake("Ingress/http", "spec.tls", GONE, "example.com has no certificate"),
    "metrics for strangers": Mistake(
        "Ingress/http", "spec.rules.0.http.paths.1.path", "/metrics", "/metrics is not for strangers"
    ),
    "ingress to nothing": Mistake(
        "Ingress/http", "spec.rules.0.http.paths.0.backend.service.name", "web", "there is no Service/web"
    ),
    "another host": Mistake("Ingress/http", "spec.rules.0.host", "other.example.com", "have not one host, but"),
    "canary that nothing judges": Mistake(
        "Rollout/http", "spec.strategy.canary.steps", [{"setWeight": 10}], "nothing judges a release"
    ),
    "canary without an analysis": Mistake(
        "AnalysisTemplate/service-levels", "metadata.name", "levels", "there is no AnalysisTemplate/service-levels"
    ),
    "analysis that is not told whom to judge": Mistake(
        "Rollout/http", "spec.strategy.canary.steps.1.analysis.args.0", GONE, "service-levels is not told canary"
    ),
    "no preview": Mistake(
        "Rollout/http", "spec.strategy.blueGreen.previewService", "next", "there is no Service/next", "blue-green"
    ),
}
SCHEMAS = {
    "unknown field": Mistake("Deployment/http", f"{CONTAINER}.imagePullPolcy", "Always", "imagePullPolcy"),
    "wrong type": Mistake("Deployment/worker", "spec.replicas", "two", "'two' is not of type"),
    "missing field": Mistake("CronJob/partitions", "spec.schedule", GONE, "'schedule' is a required property"),
    "unknown kind": Mistake("Service/http", "kind", "Servce", "Couldn't find schema for kind Servce"),
}
CUSTOM = {
    "version that is gone": Mistake(
        "PodDisruptionBudget/http", "apiVersion", "policy/v1beta1", "no schema of policy/v1"
    ),
    "unknown field": Mistake(
        "PodMonitor/processes",
        "spec.podMetricsEndpoints.0.intervall",
        "15s",
        "/spec/podMetricsEndpoints/0/intervall is",
    ),
    "bad value": Mistake("PodMonitor/processes", "spec.podMetricsEndpoints.0.interval", "often", "match pattern"),
    "wrong type": Mistake("Rollout/http", "spec.strategy.canary.steps.0.setWeight", "10 %", "must be integer"),
    "field at the wrong place": Mistake("Rollout/http", "spec.setWeight", 10, "/spec/setWeight is no field"),
    "field beside the spec": Mistake("Rollout/http", "strategy", {}, "/strategy is no field"),
    "secret without a key": Mistake("ExternalSecret/logins", "spec.data.0.secretKey", GONE, "secretKey"),
    "rule without an expression": Mistake("PrometheusRule/service-levels", "spec.groups.0.rules.0.expr", GONE, "expr"),
    "analysis of nobody": Mistake(
        "AnalysisTemplate/service-levels", "spec.metrics.0.provider.prometeus", {}, "prometeus is no field"
    ),
    "unknown kind": Mistake("Rollout/http", "kind", "Rolout", "no schema of argoproj.io/v1alpha1 Rolout"),
    "unknown group": Mistake("Rollout/http", "apiVersion", "argo.io/v1", "no schema of argo.io/v1 Rollout"),
}
POLICIES = {
    "no limit of memory": Mistake("Deployment/http", f"{CONTAINER}.resources.limits.memory", GONE, "KSV-0018"),
    "no limit of CPU": Mistake("Deployment/http", f"{CONTAINER}.resources.limits.cpu", GONE, "KSV-0011"),
    "no requests": Mistake("Deployment/worker", f"{CONTAINER}.resources.requests", GONE, "KSV-0015"),
    "root": Mistake("Deployment/http", "spec.template.spec.securityContext.runAsNonRoot", GONE, "KSV-0012"),
    "user 0": Mistake("Deployment/http", "spec.template.spec.securityContext.runAsUser", 0, "KSV-0020"),
    "more rights later": Mistake(
        "Deployment/http", f"{CONTAINER}.securityContext.allowPrivilegeEscalation", value=True, told="KSV-0001"
    ),
    "root that can be written": Mistake(
        "Deployment/probe", f"{CONTAINER}.securityContext.readOnlyRootFilesystem", value=False, told="KSV-0014"
    ),
    "capabilities": Mistake("Deployment/worker", f"{CONTAINER}.securityContext.capabilities", GONE, "KSV-0106"),
    "no seccomp": Mistake("Job/migrate", "spec.template.spec.securityContext.seccompProfile", GONE, "KSV-0104"),
    "network of the machine": Mistake("Deployment/http", "spec.template.spec.hostNetwork", value=True, told="KSV-0009"),
    "privileged": Mistake("Deployment/http", f"{CONTAINER}.securityContext.privileged", value=True, told="KSV-0017"),
    "folder of the machine": Mistake(
        "Deployment/http", "spec.template.spec.volumes.0", {"name": "tmp", "hostPath": {"path": "/"}}, "KSV-0023"
    ),
}


@pytest.fixture(scope="module")
def changed(rendered: Mapping[str, Sequence[Object]]) -> Changed:
    """Return what returns one object for each mistake of a table."""

    def of(table: Mapping[str, Mistake]) -> Sequence[Object]:
        return [with_mistake(rendered[mistake.variant], mistake)[1] for mistake in table.values()]

    return of


@pytest.fixture(scope="module")
def by_schema(changed: Changed, with_tools: WithTools) -> Mapping[int, Sequence[str]]:
    """Return what the schemas of Kubernetes say of each; all in one run."""
    return with_tools(partial(by_schemas, changed(SCHEMAS)))


@pytest.fixture(scope="module")
def by_custom_schema(changed: Changed, with_tools: WithTools) -> Mapping[int, Sequence[str]]:
    """Return what the other schemas say of each."""
    return with_tools(partial(by_custom_schemas, changed(CUSTOM)))


@pytest.fixture(scope="module")
def by_policy(changed: Changed, with_tools: WithTools) -> Mapping[int, Sequence[str]]:
    """Return what the policies say of each."""
    told, _ = with_tools(partial(by_policies, changed(POLICIES)))
    return told


@pytest.mark.parametrize("name", RULES)
def test_a_mistake_is_told_by_the_rules(rendered: Mapping[str, Sequence[Object]], name: str) -> None:
    """With the object that it is in, or that suffers from it."""
    objects, _ = with_mistake(rendered[RULES[name].variant], RULES[name])

    told = by_rules(objects)

    assert any(re.search(RULES[name].told, said) for said in told), told


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_mistake_is_told_by_the_schemas(by_schema: Mapping[int, Sequence[str]], name: str) -> None:
    """In the words of the schema."""
    told = by_schema[[*SCHEMAS].index(name)]

    assert any(SCHEMAS[name].told in said for said in told), told


@pytest.mark.parametrize("name", CUSTOM)
def test_a_mistake_in_a_custom_resource_is_told(by_custom_schema: Mapping[int, Sequence[str]], name: str) -> None:
    """Also one that a cluster would drop without a word."""
    told = by_custom_schema[[*CUSTOM].index(name)]

    assert any(CUSTOM[name].told in said for said in told), told


@pytest.mark.parametrize("name", POLICIES)
def test_a_mistake_is_told_by_the_policies(by_policy: Mapping[int, Sequence[str]], name: str) -> None:
    """By its number."""
    told = by_policy.get([*POLICIES].index(name), ())

    assert any(said.startswith(POLICIES[name].told) for said in told), told
