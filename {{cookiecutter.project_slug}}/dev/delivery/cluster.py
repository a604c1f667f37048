"""A namespace of a cluster, as kubectl shows and changes it."""

import json
import subprocess
import time
from collections.abc import Sequence

from dev.delivery.kustomize import Object

_CALL_SECONDS = 60
_PATIENCE_SECONDS = 60  # an API server that is replaced meanwhile must not take a good release back


class Failed(Exception):
    """The cluster did not do what it should; the message says what."""


class Cluster:
    """Whatever cluster kubectl's configuration names."""

    def __init__(self, *, namespace: str, every_seconds: float) -> None:
        self._namespace = namespace
        self._every_seconds = every_seconds

    def apply(self, objects: Sequence[Object]) -> None:
        """Make them what they are described to be.

        Raises:
            Failed: the cluster refused one of them.
        """
        together = {"apiVersion": "v1", "kind": "List", "items": [*objects]}
        self._run("apply", "--filename", "-", stdin=json.dumps(together))

    def create(self, wanted: Object) -> bool:
        """Make an object; False if there is one of that name.

        Raises:
            Failed: the cluster does not answer, or does not allow it.
        """
        try:
            self._run("create", "--filename", "-", stdin=json.dumps(wanted))
        except Failed as exc:
            if "(AlreadyExists)" in str(exc):
                return False
            raise
        return True

    def get(self, name: str) -> Object | None:
        """Return an object, if there is one.

        Raises:
            Failed: the cluster does not answer for a while.
        """
        shown = self._insist("get", name, "--output", "json", "--ignore-not-found")
        return dict(json.loads(shown)) if shown.strip() else None

    def delete(self, name: str) -> None:
        """Delete an object, if there is one.

        Raises:
            Failed: the cluster does not answer, or does not allow it.
        """
        self._run("delete", name, "--ignore-not-found")

    def template(self, name: str) -> Object | None:
        """Return what the pods of a deployment are made of; None if there is no deployment.

        Raises:
            Failed: the cluster does not answer.
        """
        found = self.get(f"deployment/{name}")
        return dict(found["spec"]["template"]) if found else None

    def restore(self, name: str, template: Object) -> None:
        """Make the pods of a deployment of this again.

        By what it was and not by `rollout undo`: that goes one too far back where the last change was not noted yet.

        Raises:
            Failed: the cluster does not answer, or does not allow it.
        """
        patch = json.dumps([{"op": "replace", "path": "/spec/template", "value": template}])
        self._insist("patch", f"deployment/{name}", "--type", "json", "--patch", patch)

    def wait_for_job(self, name: str, end: float) -> None:
        """Return when a job has succeeded.

        Raises:
            Failed: it did not, or time is up.
        """
        while True:
            conditions = (self.get(f"job/{name}") or {}).get("status", {}).get("conditions", [])
            states = {each["type"] for each in conditions if each["status"] == "True"}
            if "Complete" in states:
                return
            if "Failed" in states:
                raise Failed(f"job {name} failed; see: kubectl --namespace {self._namespace} logs job/{name}")
            self._pause(f"job {name} has not ended", end)

    def wait_for_deployment(self, name: str, end: float) -> None:
        """Return when all pods of a deployment are those of its last change, and ready.

        Raises:
            Failed: it made no progress for as long as it may, or time is up.
        """
        while True:
            found = self.get(f"deployment/{name}") or {}
            status = found.get("status", {})
            if status.get("observedGeneration") == found.get("metadata", {}).get("generation"):
                wanted = found["spec"].get("replicas", 1)
                counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")]
                if counts == [wanted] * 3:
                    return
                if any(each.get("reason") == "ProgressDeadlineExceeded" for each in status.get("conditions", [])):
                    raise Failed(f"{name} does not become ready")
            self._pause(f"{name} is not ready", end)

    def wait_for_rollout(self, name: str, end: float) -> None:
        """Return when a canary or blue-green release has been judged good and is all there is.

        Raises:
            Failed: it was judged bad, or time is up, be it that nobody decided what an analysis left open.
        """
        said = ""
        while True:
            found = self.get(f"rollout/{name}") or {}
            status = found.get("status", {})
            current = str(status.get("observedGeneration")) == str(found.get("metadata", {}).get("generation"))
            of_template = status.get("workloadObservedGeneration")
            if of_template is not None:
                workload = self.get(f"deployment/{name}") or {}
                current &= str(of_template) == str(workload.get("metadata", {}).get("generation"))
            phase, why = status.get("phase", ""), status.get("message", "")
            if current and phase == "Healthy":
                return
            if current and phase == "Degraded":
                raise Failed(f"{name} was judged: {why}")
            if (phase, why) != ("", "") and said != f"{phase} {why}":
                said = f"{phase} {why}"
                print(f"deploy: {name}: {said.strip()}", flush=True)
            self._pause(f"{name} is not through: {phase} {why}".strip(), end)

    def _pause(self, waiting_for: str, end: float) -> None:
        if time.monotonic() >= end:
            raise Failed(f"time is up: {waiting_for}")
        time.sleep(self._every_seconds)

    def _insist(self, *words: str) -> str:
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._run(*words)
            except Failed:
                if time.monotonic() >= end:
                    raise
                time.sleep(self._every_seconds)

    def _run(self, *words: str, stdin: str | None = None) -> str:
        command = ["kubectl", "--namespace", self._namespace, *words]
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=_CALL_SECONDS,
                start_new_session=True,  # a signal to all of the pipeline's processes must not cut a change in half
            )
        except FileNotFoundError:
            raise Failed("kubectl is not installed") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"kubectl {words[0]} did not answer within {_CALL_SECONDS} s") from None
        if done.returncode:
            raise Failed(f"kubectl {' '.join(words[:2])}: {done.stderr.strip()}")
        return done.stdout
