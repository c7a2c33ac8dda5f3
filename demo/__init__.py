"""``make run``: a cluster, a repository and Tiphys at work on it, for people who want to see it.

``repository`` makes the demo's Git repository, ``cluster`` a local control plane or the given
cluster, ``watching`` reads the applications, ``__main__`` tells the story and cleans up.
"""
