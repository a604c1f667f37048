"""Rolls an image out to the cluster that kubectl speaks to, and goes back if that fails.

    python -m dev.delivery.deploy production registry.example.com/order-service@sha256:... [--back]

Settings and secrets first, then the migration, and processes when it is through, as docs/kubernetes.md says. What is
waited for is the end of each roll-out: with a canary, its judgement. What fails before processes were changed leaves
them as they are; after that each goes back to what it was. Settings and schema stay: the release before works on both.

As long as it runs the cluster has a note of it, which keeps a second deployment out, and holds what processes were
before. A pipeline that is killed leaves the note behind, and `--back` does what it came no more to.
Exit status: 0 it runs, or is taken back, 1 it does not, and the release before does, unless that is what failed,
2 it was refused, and nothing has been changed.
"""

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NoReturn

from pydantic import TypeAdapter

from dev.delivery.cluster import Cluster, Failed
from dev.delivery.kustomize import FOLDER, CannotRender, Object, Variant, render
from dev.delivery.manifests import Manifests
from dev.deploy_window import LONGEST
from dev.ops.durations import Duration, seconds
from dev.ops.tools import ToolMissing

_PROCESSES = ("http", "worker", "probe")
_COMPONENT = "app.kubernetes.io/component"
_DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
_NOTE = "deployment-in-progress"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Refused(Exception):
    """It cannot be deployed; the message says why."""


class Stopped(Exception):
    """Somebody told it to stop. Not `Failed`, after which a question is asked again."""


def with_image(objects: Sequence[Object], image: str) -> Sequence[Object]:
    """Return the objects with this image wherever the service's own is.

    Raises:
        Refused: it is not named by its digest, so that what runs tomorrow may be something else.
    """
    if not _DIGEST.fullmatch(image):
        raise Refused(f"{image} is not named by its digest: name@sha256:...")
    for process in Manifests(objects).processes:
        if process.is_ours:
            process.container["image"] = image
    return objects


def roll_out(cluster: Cluster, objects: Sequence[Object], image: str, *, timeout_seconds: float) -> None:
    """Bring all objects to the cluster in their order, and return when everything runs.

    Raises:
        Refused: another deployment has not ended.
        Failed: something did not; the processes are what they were before, or the message says that they are not.
    """
    end = time.monotonic() + timeout_seconds
    processes = [found for found in objects if found["metadata"].get("labels", {}).get(_COMPONENT) in _PROCESSES]
    others = [found for found in objects if found not in processes]
    cluster.apply([found for found in others if found["kind"] == "Namespace"])  # where the note is
    if not cluster.create(_note(image, {})):
        other = cluster.get(f"configmap/{_NOTE}") or _note("another image", {})
        raise Refused(f"a deployment of {other['data']['image']} has not ended; if nobody works on it, make rollback")
    try:
        cluster.delete("job/migrate")  # a Job cannot be changed
        cluster.apply(others)
        cluster.wait_for_job("migrate", end)
        _say("the schema is up to date")
        cluster.apply([_note(image, {name: cluster.template(name) for name in _PROCESSES})])
        _roll_out_processes(cluster, processes, end)
    except BaseException as exc:
        try:
            go_back(cluster, image)
        except Failed as again:
            raise Failed(f"{exc}; and it could not go back: {again}") from exc
        raise
    cluster.delete(f"configmap/{_NOTE}")


def _note(image: str, before: Mapping[str, Object | None]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NOTE},
        "data": {"image": image, "before": json.dumps(before)},
    }


def _roll_out_processes(cluster: Cluster, processes: Sequence[Object], end: float) -> None:
    cluster.apply(processes)
    rollouts = [found["metadata"]["name"] for found in processes if found["kind"] == "Rollout"]
    for name in _PROCESSES:
        if name in rollouts:
            cluster.wait_for_rollout(name, end)
        else:
            cluster.wait_for_deployment(name, end)
        _say(f"{name} runs")


def go_back(cluster: Cluster, image: str) -> None:
    """Give each process the pods that it had before the deployment of this image, if that has not ended.

    Raises:
        Failed: one of them could not be given them; the others were.
    """
    for number in _SIGNALS:  # whoever cancels asks first, and soon after insists: this is the answer to both
        signal.signal(number, signal.SIG_IGN)
    note = cluster.get(f"configmap/{_NOTE}")
    if note is None or note["data"]["image"] != image:
        _say("there is no deployment of it to take back")
        return
    wrong = []
    for name, template in json.loads(note["data"]["before"]).items():
        try:
            _restore(cluster, name, template)
        except Failed as exc:
            wrong.append(str(exc))
    if wrong:
        raise Failed("; ".join(wrong))
    cluster.delete(f"configmap/{_NOTE}")


def _restore(cluster: Cluster, name: str, template: Object | None) -> None:
    if template is None:
        _say(f"{name} was not there before, and stays as it is")
    elif cluster.template(name) != template:
        _say(f"{name} goes back")
        cluster.restore(name, template)


def _say(text: str) -> None:
    print(f"deploy: {text}", flush=True)


def _interrupted(number: int, _: FrameType | None) -> NoReturn:
    raise Stopped(f"told to stop, by signal {number}")


def main(words: Sequence[str] | None = None) -> int:
    """Deploy, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dev.delivery.deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = sorted(path.name for path in (FOLDER / "overlays").iterdir())
    parser.add_argument("environment", choices=known)
    parser.add_argument("image", help="name@sha256:...")
    parser.add_argument("--every", type=float, default=2, help="seconds between two looks; default %(default)s")
    parser.add_argument("--back", action="store_true", help="take a deployment of it back that has not ended")
    parser.add_argument(
        "--timeout", type=_seconds, default=LONGEST, help="the longest it may take; default %(default)s"
    )
    arguments = parser.parse_args(words)
    for number in _SIGNALS:
        signal.signal(number, _interrupted)
    try:
        objects = with_image(render(Variant(arguments.environment)), arguments.image)
        (namespace,) = Manifests(objects).of("Namespace")
        cluster = Cluster(namespace=namespace["metadata"]["name"], every_seconds=arguments.every)
        if arguments.back:
            go_back(cluster, arguments.image)
        else:
            roll_out(cluster, objects, arguments.image, timeout_seconds=arguments.timeout)
    except (Refused, CannotRender, ToolMissing) as exc:
        print(f"deploy: refused: {exc}", file=sys.stderr)
        return 2
    except (Failed, Stopped) as exc:
        print(f"deploy: failed: {exc}", file=sys.stderr)
        return 1
    return 0


def _seconds(written: str) -> float:
    return seconds(TypeAdapter(Duration).validate_python(written))


if __name__ == "__main__":
    sys.exit(main())
