"""How much one execution may do.

Go's engine trusts its templates; here they are a tenant's. The limits are far above what templates of
manifests and links do.
"""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Limits of one execution.

    Attributes:
        steps: nodes walked, iterations and calls; slow functions count for many.
        output: characters written.
        depth: templates that call one another.
    """

    steps: int = 200_000
    output: int = 4 << 20
    depth: int = 60


NESTING = 60
"""Actions and parentheses inside one another in a text."""

WEIGHT = 8 << 20
"""The size of a value (characters, and some for each item) that functions make or walk through."""
