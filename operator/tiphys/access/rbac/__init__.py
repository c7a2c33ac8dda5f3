"""RBAC (api.md 13): policy texts and projects in, decisions out.

``policy`` reads policy texts, ``builtin`` is the policy everybody has, ``patterns`` matches objects,
``compiled`` answers questions of one state of policy and projects, ``enforcer`` keeps the answer up to
date with settings and projects, and is what the API asks.
"""
