"""The source hydrator's decisions: what must be hydrated, together with what, and what is written.

An Application with ``spec.sourceHydrator`` is synced from a branch that we write ourselves: the dry
source is rendered, and the result is committed there for people to read (``sources.md`` 21,
``applications.md`` 25). This room is pure: ``grouping`` says who shares a commit, ``deciding`` whether
one is due, ``destinations`` who writes where, ``validating`` what forbids it, ``statuses`` how the stored
state moves on, ``files`` what a branch holds afterwards, ``texts`` what its commits say. Git is written by
``sources.git.branches``; ``reconcile.hydrating`` does what is decided here.
"""
