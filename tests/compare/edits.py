"""Random edits of objects: what people, templates and other controllers do to them.

Who chooses is given: in tests it is hypothesis, which makes what fails small (``st.randoms``).
"""

from __future__ import annotations

import copy
import random
from typing import Any

Place = tuple[Any, ...]

SPELLINGS = {"1": "1000m", "1Gi": "1024Mi", "2Gi": "2048Mi", "2": "2000m", "100m": 0.1}
ADDITIONS: dict[str, list[tuple[Place, Any]]] = {
    "Deployment": [
        (("spec", "template", "spec", "hostPID"), False),
        (("spec", "template", "spec", "serviceAccountName"), "sa"),
        (("spec", "template", "spec", "dnsPolicy"), "ClusterFirst"),
        (("spec", "template", "spec", "restartPolicy"), "Always"),
        (("spec", "template", "spec", "priorityClassName"), ""),
        (("spec", "template", "spec", "automountServiceAccountToken"), False),
        (("spec", "template", "spec", "securityContext"), {}),
        (("spec", "template", "spec", "hostAliases"), []),
        (("spec", "template", "spec", "containers", 0, "stdin"), False),
        (("spec", "template", "spec", "containers", 0, "imagePullPolicy"), "IfNotPresent"),
        (("spec", "template", "spec", "containers", 0, "command"), []),
        (("spec", "template", "spec", "containers", 1, "env"), [{"name": "X", "value": "y"}]),
        (("spec", "template", "spec", "containers", 0, "lifecycle"), {}),
        (("spec", "strategy", "rollingUpdate"), {"maxSurge": 1}),
        (("spec", "progressDeadlineSeconds"), 600),
        (("spec", "paused"), False),
        (("spec", "minReadySeconds"), 0),
        (("spec", "unknown"), "x"),
    ],
    "Service": [
        (("spec", "type"), "ClusterIP"),
        (("spec", "publishNotReadyAddresses"), False),
        (("spec", "sessionAffinity"), "None"),
        (("spec", "externalIPs"), []),
        (("spec", "ports", 0, "appProtocol"), "http"),
        (("spec", "ports", 0, "nodePort"), 0),
    ],
    "ConfigMap": [(("data", "new"), "x"), (("binaryData",), {}), (("immutable",), False)],
    "Secret": [(("data", "new"), "eA=="), (("stringData",), {"z": "z"})],
    "Widget": [
        (("spec", "maybe"), None),
        (("spec", "maybe"), "x"),
        (("spec", "unknown"), "x"),
        (("spec", "parts"), []),
        (("spec", "nested"), {}),
        (("spec", "steps", 0, "timeout"), 5),
        (("spec", "steps", 0, "timeout"), 6),
        (("spec", "parts", 0, "kind"), "plain"),
    ],
    "Blob": [(("spec", "x"), {"y": None}), (("spec", "x"), []), (("spec", "f"), 1), (("spec", "t"), 1)],
    "Role": [(("rules",), [])],
    "StatefulSet": [(("spec", "podManagementPolicy"), "OrderedReady"), (("spec", "minReadySeconds"), 0)],
    "CronJob": [(("spec", "suspend"), False), (("spec", "concurrencyPolicy"), "Allow")],
    "PersistentVolumeClaim": [(("spec", "volumeMode"), "Filesystem"), (("spec", "storageClassName"), "")],
    "Ingress": [(("spec", "ingressClassName"), ""), (("spec", "defaultBackend"), {})],
    "PodDisruptionBudget": [(("spec", "selector", "matchLabels", "x"), "y")],
}


def places(value: Any, at: Place = ()) -> list[Place]:
    """Every place in a value below ``spec``, ``data`` and the like, and labels and annotations."""
    found: list[Place] = []
    if isinstance(value, dict):
        for key, item in value.items():
            if not at and key in ("apiVersion", "kind", "status"):
                continue
            if at == ("metadata",) and key not in ("labels", "annotations", "finalizers"):
                continue
            found.append((*at, key))
            found.extend(places(item, (*at, key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found.append((*at, index))
            found.extend(places(item, (*at, index)))
    return [place for place in found if place != ("metadata",)]


def read(value: Any, place: Place) -> Any:
    for part in place:
        value = value[part]
    return value


def write(value: Any, place: Place, new: Any) -> None:
    parent = read(value, place[:-1])
    parent[place[-1]] = new


def edit_once(chance: random.Random, manifest: dict[str, Any]) -> str:
    """Change a manifest in place; what was done."""
    kind = chance.choice(
        ["change", "change", "remove", "remove", "add", "add", "reorder", "respell", "null", "empty", "copy"]
    )
    somewhere = places(manifest)
    if not somewhere:
        return ""
    where = chance.choice(somewhere)
    value = read(manifest, where)
    if kind == "change":
        if isinstance(value, bool):
            write(manifest, where, not value)
        elif isinstance(value, int | float):
            write(manifest, where, value + chance.choice([1, 1, 1.0]))
        elif isinstance(value, str):
            write(manifest, where, value + "x" if value else "x")
        else:
            return ""
    elif kind == "remove":
        del read(manifest, where[:-1])[where[-1]]
    elif kind == "add":
        additions = ADDITIONS.get(manifest["kind"], [])
        additions = [*additions, (("metadata", "labels"), {"new": "label"})]
        where, value = copy.deepcopy(chance.choice(additions))
        try:
            write(manifest, where, value)
        except (KeyError, IndexError, TypeError):
            return ""
    elif kind == "reorder":
        lists = [place for place in places(manifest) if isinstance(read(manifest, place), list)]
        if not lists:
            return ""
        where = chance.choice(lists)
        read(manifest, where).reverse()
    elif kind == "respell":
        if not isinstance(value, str) or value not in SPELLINGS:
            return ""
        write(manifest, where, SPELLINGS[value])
    elif kind == "null":
        write(manifest, where, None)
    elif kind == "empty":
        if isinstance(value, dict | list | str):
            write(manifest, where, type(value)())
        else:
            return ""
    elif kind == "copy":
        if not isinstance(value, dict) or not isinstance(where[-1], int):
            return ""
        made = copy.deepcopy(value)
        for key in ("name", "port", "containerPort"):
            if key in made and chance.random() < 0.7:
                made[key] = f"{made[key]}x"[:15] if isinstance(made[key], str) else made[key] + 1
        read(manifest, where[:-1]).insert(chance.randint(0, where[-1] + 1), made)
    return f"{kind} {'.'.join(map(str, where))}"


def foreign_patch(chance: random.Random, live: dict[str, Any]) -> dict[str, Any] | None:
    """A JSON merge patch that another controller might send: one leaf outside of lists.

    All that is left to chance is asked for at once: how much that is must not depend on what
    controllers did to the live object by now, since hypothesis repeats what it finds.
    """
    new_label, where_to, kept, order = (chance.random() for _ in range(4))
    candidates = [
        place
        for place in places({key: value for key, value in live.items() if key != "status"})
        if not any(isinstance(part, int) for part in place)
        and not isinstance(read(live, place), dict)
        and "last-applied" not in str(place[-1])
    ]
    if not candidates or new_label < 0.2:
        return {"metadata": {"labels": {"foreign": "label"}}}
    where = candidates[int(where_to * len(candidates))]
    value = read(live, where)
    new: Any = None
    if isinstance(value, bool):
        new = not value
    elif isinstance(value, int):
        new = value + 1
    elif isinstance(value, str) and where[0] != "metadata":
        new = value + "x"
    elif isinstance(value, list) and value and kept < 0.7:
        new = list(reversed(value)) if order < 0.5 else [*value, *copy.deepcopy(value[:1])]
        if isinstance(new[-1], dict) and "name" in new[-1] and len(new) > len(value):
            new[-1]["name"] = "foreign"
    inner: Any = new
    for part in reversed(where[1:]):
        inner = {part: inner}
    return {where[0]: inner}
