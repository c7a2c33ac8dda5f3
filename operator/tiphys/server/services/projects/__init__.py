"""ProjectService (api.md 7, 9; applications.md 15–20).

``rules`` says what a project must be and what a change of it needs (pure), ``tokens`` puts tokens into
projects and takes them out (pure), ``writing`` stores projects, ``service`` has the methods and
``starting`` what happens to projects once at the start of the server.
"""
