"""The server role: the API on one port, and its metrics on another."""

from contextlib import AsyncExitStack

from tiphys.app.controlling import Controllers
from tiphys.app.foundation import Foundation, Parts


async def serve(base: Foundation, controllers: Controllers | None, closing: AsyncExitStack) -> Parts:
    """Build the API over the foundation; its ports stand when this returns."""
    return {}
