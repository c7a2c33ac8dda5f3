"""Our client-side patch has the effect of kubectl's (sync.md 13.2), judged by the real API server."""

from __future__ import annotations

import copy
import itertools
import json
import random
import re
import subprocess
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compare.differential import CLIENT_SIDE, dry_run
from tests.compare.edits import edit_once, foreign_patch
from tests.compare.samples import objects, renamed
from tests.compare.server import Refused, Server, content
from tests.controlplane import ControlPlane
from tiphys.compare.merging import first_difference
from tiphys.compare.normalize import normalize
from tiphys.compare.threeway import LAST_APPLIED, with_last_applied
from tiphys.resources.identity import Manifest, annotations_of

pytestmark = pytest.mark.controlplane


def is_ambiguous(manifest: Manifest) -> bool:
    """Two ports 53: kubectl patches by port alone and mixes them up; we do not."""
    return manifest["metadata"]["name"] in ("dns", "agent")


def version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


def kubectl_apply(plane: ControlPlane, manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """What ``kubectl apply`` would make of each; refused ones are missing (it prints nothing as long as
    one is among them)."""
    left = list(manifests)
    while left:
        done = subprocess.run(
            [
                str(plane.bin / "kubectl"),
                f"--kubeconfig={plane.kubeconfig}",
                "apply",
                "--dry-run=server",
                "--field-manager=argocd-controller",
                "--validate=false",
                "--output=json",
                "--filename=-",
            ],
            input=json.dumps({"apiVersion": "v1", "kind": "List", "items": left}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.stdout:
            items = json.loads(done.stdout)["items"]
            return {(item["kind"], item["metadata"]["name"]): item for item in items}
        refused = set(re.findall(r'Kind=(\w+)"\nName: "([^"]+)"', done.stderr))
        assert refused, done.stderr[:2000]
        left = [item for item in left if (item["kind"], item["metadata"]["name"]) not in refused]
    return {}


def test_same_effect_as_kubectl(server: Server, control_plane: ControlPlane, namespace: str) -> None:
    compared: list[int] = []
    numbers = itertools.count()

    @settings(max_examples=3)  # each is all objects at once, since kubectl takes its time to start
    @given(st.randoms(use_true_random=False))
    def example(chance: random.Random) -> None:
        number = next(numbers)
        written = [renamed(each, number) for each in objects(namespace) if not is_ambiguous(each)]
        compared.append(same_effects(server, control_plane, written, chance))

    example()
    assert sum(compared) > 5 * len(compared)


def same_effects(
    server: Server, control_plane: ControlPlane, objects: Iterable[Manifest], chance: random.Random
) -> int:
    """Edits objects and compares what becomes of each; how many neither refused."""
    targets: list[Manifest] = []
    answers: list[Manifest] = []
    done: list[Any] = []
    for written in objects:
        # controllers must not write between our dry run and kubectl's
        if written["kind"] in ("StatefulSet", "Deployment"):
            written["spec"]["replicas"] = 0
        original = normalize(written)
        server.create(with_last_applied(original))
        patch = foreign_patch(chance, server.get(original))
        try:
            server.patch(original, patch, "application/merge-patch+json", manager="other")
        except Refused:
            patch = None
        edited = copy.deepcopy(written)
        edits = [edit_once(chance, edited) for _ in range(2)]
        target, live = normalize(edited), server.get(original)
        try:
            answers.append(dry_run(server, target, live, CLIENT_SIDE))
        except Refused:
            continue
        targets.append(target)
        done.append((patch, edits))
    theirs = kubectl_apply(control_plane, targets)
    compared = 0
    for target, ours, edits in zip(targets, answers, done, strict=True):
        expected = theirs.get((target["kind"], target["metadata"]["name"]))
        if expected is None or version(expected) != version(ours):
            continue  # refused, or a controller wrote in between
        difference = first_difference(content(ours), content(expected))
        assert difference is None, (target["kind"], edits, difference)
        assert annotations_of(ours)[LAST_APPLIED] == annotations_of(expected)[LAST_APPLIED]
        compared += 1
    return compared
