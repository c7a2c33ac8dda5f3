"""``POST /api/webhook``: a repository or registry says that something was pushed (sources.md 22).

``payloads`` decides who sent it, whether to believe it and what it says; ``matching`` which Applications
it concerns; ``receiver`` answers at once and has them refreshed. The first two are pure.
"""
