"""The methods of all services by their classes alone, for who has no server: ``tiphys openapi``, tests."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

from tiphys.server import services
from tiphys.server.api.rpc import Method, methods_of


def declared_methods() -> tuple[Method, ...]:
    """Every method that a class in ``server.services`` declares; their handlers must not be called."""
    return tuple(
        method
        for kind in service_classes()
        # Never initialised: only what the class declares is read.
        for method in methods_of(object.__new__(kind))
    )


def service_classes() -> Iterator[type]:
    """The service classes, in the order of their modules' names."""
    for found in walk_packages(services.__path__, f"{services.__name__}."):
        module = import_module(found.name)
        for kind in vars(module).values():
            if (
                inspect.isclass(kind)
                and kind.__module__ == module.__name__
                and isinstance(getattr(kind, "service", None), str)
            ):
                yield kind
