"""``ApplicationService`` about what an Application manages (api.md 8): live objects, manifests, logs.

``reaching`` is the way to a live object: the caller's right to the Application first, then the node in
its tree, then a client of the destination as whom the project says. ``trees``, ``objects``,
``actions``, ``events`` and ``logs`` show and change live objects; ``manifests``, ``uploads`` and
``revisions`` ask the sources; ``diffing`` asks the API server what an apply would do. ``service`` puts
them together.
"""
