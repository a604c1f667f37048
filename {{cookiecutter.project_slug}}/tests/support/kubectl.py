"""Stands in for kubectl and its cluster: a file of objects, and controllers that are as well as they are told.

CLUSTER names the file. FAULT says what goes wrong: `migration`, `worker`, `canary`, `undecided`, `refused` or `away`;
with `blinking`, every other question has no answer; with `cancelled`, whoever asks how an undecided roll-out goes on is
told to stop, and again when it goes back; with `stuck`, a canary is judged bad, and its process cannot be changed.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

_STATE = Path(os.environ.get("CLUSTER", "cluster.json"))
_FAULT = os.environ.get("FAULT", "")
_BAD = os.environ.get("BAD_IMAGE", "")


def main(words: list[str]) -> int:
    """Do what kubectl would, and return its exit status."""
    assert words[0] == "--namespace"
    state: dict[str, Any] = json.loads(_STATE.read_text()) if _STATE.exists() else {"calls": [], "objects": {}}
    command, rest = words[2], words[3:]
    state["calls"].append(" ".join([command, *rest[:1]]))
    if _FAULT == "cancelled" and state["calls"][-1] == "patch deployment/http":
        os.kill(os.getppid(), signal.SIGTERM)
    if _FAULT == "away" or (_FAULT == "blinking" and command == "get" and len(state["calls"]) % 2):
        status = _fail("Unable to connect to the server: dial tcp: connection refused")
    elif _FAULT == "stuck" and state["calls"][-1] == "patch deployment/http":
        status = _fail('admission webhook "policy" denied the request')
    else:
        commands = {"apply": _apply, "create": _create, "get": _get, "delete": _delete, "patch": _patch}
        status = commands[command](state["objects"], rest)
    _STATE.write_text(json.dumps(state))
    if _FAULT == "cancelled" and state["calls"][-1] == "get rollout/http":
        os.kill(os.getppid(), signal.SIGTERM)
    return status


def _create(objects: dict[str, Any], _: list[str]) -> int:
    found = json.load(sys.stdin)
    name = f"{found['kind'].lower()}/{found['metadata']['name']}"
    if name in objects:
        return _fail(f"Error from server (AlreadyExists): {name} already exists")
    objects[name] = found
    return 0


def _apply(objects: dict[str, Any], _: list[str]) -> int:
    for found in json.load(sys.stdin)["items"]:
        name = f"{found['kind'].lower()}/{found['metadata']['name']}"
        if _FAULT == "refused" and name == "deployment/worker":
            return _fail('admission webhook "policy" denied the request')
        known = objects.get(name, {"metadata": {}})
        changed = known.get("spec") != found.get("spec")
        found["metadata"]["generation"] = known["metadata"].get("generation", 0) + changed
        objects[name] = found
    return 0


def _get(objects: dict[str, Any], words: list[str]) -> int:
    found = objects.get(words[0])
    if found:
        print(json.dumps(found | {"status": _status(objects, words[0], found)}))
    return 0


def _status(objects: dict[str, Any], name: str, found: dict[str, Any]) -> dict[str, Any]:
    generation = found["metadata"].get("generation", 0)
    if name == "job/migrate":
        return {"conditions": [{"type": "Failed" if _FAULT == "migration" else "Complete", "status": "True"}]}
    is_bad = _BAD in json.dumps(objects.get(name.replace("rollout", "deployment")))
    if name.startswith("rollout"):
        workload = objects[name.replace("rollout", "deployment")]["metadata"]["generation"]
        phase, message = "Healthy", ""
        if is_bad and _FAULT in {"canary", "stuck"}:
            phase, message = "Degraded", 'Metric "buy" assessed Failed'
        elif is_bad and _FAULT in {"undecided", "cancelled"}:
            phase, message = "Paused", "InconclusiveAnalysisRun"
        observed = {"observedGeneration": str(generation), "workloadObservedGeneration": str(workload)}
        return {**observed, "phase": phase, "message": message}
    if is_bad and _FAULT == "worker" and name == "deployment/worker":
        late = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "status": "False"}
        return {"observedGeneration": generation, "replicas": 2, "updatedReplicas": 1, "conditions": [late]}
    count = found.get("spec", {}).get("replicas", 1)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), count)
    return {"observedGeneration": generation, **counts}


def _delete(objects: dict[str, Any], words: list[str]) -> int:
    objects.pop(words[0], None)
    return 0


def _patch(objects: dict[str, Any], words: list[str]) -> int:
    (change,) = json.loads(words[words.index("--patch") + 1])
    assert change["path"] == "/spec/template"
    objects[words[0]]["spec"]["template"] = change["value"]
    objects[words[0]]["metadata"]["generation"] += 1
    return 0


def _fail(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
