"""The policy every installation starts from (api.md 13 "Built-in policy"), as data."""

from tiphys.access.rbac.policy import Grouping, Policy, Rule

READONLY, ADMIN = "role:readonly", "role:admin"

_READ = {
    "applications": "*/*",
    "applicationsets": "*/*",
    "logs": "*/*",
    "certificates": "*",
    "clusters": "*",
    "repositories": "*",
    "write-repositories": "*",
    "projects": "*",
    "accounts": "*",
    "gpgkeys": "*",
}

_CHANGE = {
    "applications": (
        "*/*",
        ("create", "update", "update/*", "delete", "delete/*", "sync", "rollback", "override", "action/*"),
    ),
    "applicationsets": ("*/*", ("get", "create", "update", "delete")),
    "certificates": ("*", ("create", "update", "delete")),
    "clusters": ("*", ("create", "update", "delete")),
    "repositories": ("*", ("create", "update", "delete")),
    "write-repositories": ("*", ("create", "update", "delete")),
    "projects": ("*", ("create", "update", "delete")),
    "accounts": ("*", ("update",)),
    "gpgkeys": ("*", ("create", "delete")),
    "exec": ("*/*", ("create",)),
}

BUILTIN = Policy(
    rules=(
        *(Rule(READONLY, resource, "get", objects) for resource, objects in _READ.items()),
        *(
            Rule(ADMIN, resource, action, objects)
            for resource, (objects, actions) in _CHANGE.items()
            for action in actions
        ),
    ),
    groupings=(Grouping(ADMIN, READONLY), Grouping("admin", ADMIN)),
)
