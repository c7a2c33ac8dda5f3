"""The functions of sprig (v3.3): what users know from Helm, without ``env``, ``expandenv`` and
``getHostByName`` (applicationset.md 10).

A folder of themes, each with a table of :class:`gotemplate.Function`; :func:`functions` puts them
together. :mod:`extra` has those that only ApplicationSets know. Nothing here reads a clock or throws
dice of its own.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from random import Random, SystemRandom

from tiphys.templating.gotemplate.values import Function
from tiphys.templating.sprig import (
    collections,
    defaults,
    encodings,
    numbers,
    paths,
    regexes,
    secrets,
    strings,
    versions,
)
from tiphys.templating.sprig.certificates import Issuer
from tiphys.templating.sprig.dates import Dates


def functions(
    clock: Callable[[], datetime], *, random: Random | None = None, local: tzinfo = UTC
) -> Mapping[str, Function]:
    """All 208 of them.

    Args:
        clock: the present moment (aware).
        random: default is the system's.
        local: the time zone that ``date`` and its like use.
    """
    dice = random or SystemRandom()
    return {
        **strings.functions(dice),
        **numbers.functions(dice),
        **Dates(clock, local).functions(),
        **defaults.functions(),
        **collections.functions(),
        **regexes.functions(),
        **encodings.functions(),
        **secrets.functions(dice),
        **Issuer(clock).functions(),
        **paths.functions(),
        **versions.functions(),
    }
