"""What Tiphys costs, in numbers that another machine can reproduce.

One run starts a fresh control plane, installs Tiphys as users do, and measures scenarios that are
named B1, B2, … (see README.md): CPU seconds of Tiphys with its children and of the control plane,
API requests by verb, Git requests, peak memory, wall time. Requests and the ratio of the two CPU
figures are what to compare between machines; seconds are not.

``meter`` reads CPU, memory and request counters; ``gitserver`` serves and counts Git;
``repository`` makes commits; ``driver`` is the user (creates, annotates, watches);
``scenarios`` tells what happens in each test; ``report`` prints it beside the targets.
"""
