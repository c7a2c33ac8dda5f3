"""The methods of ``ApplicationService`` about Applications themselves, put together."""

from tiphys.resources.application import Application
from tiphys.resources.gojson import dumps
from tiphys.resources.wire.codec import encode
from tiphys.server.guard import Guard
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.creating import ApplicationCreation
from tiphys.server.services.applications.deleting import ApplicationDeletion
from tiphys.server.services.applications.listing import ApplicationListing
from tiphys.server.services.applications.reading import ApplicationReading
from tiphys.server.services.applications.syncing import ApplicationOperations
from tiphys.server.services.applications.updating import ApplicationUpdates
from tiphys.server.services.applications.validation import AppValidator
from tiphys.server.services.applications.watching import ApplicationWatching
from tiphys.server.services.applications.windows import ApplicationWindows
from tiphys.server.services.applications.writing import AppWriter
from tiphys.server.services.events import AuditLog
from tiphys.server.state import State
from tiphys.server.streams.catalog import Catalog
from tiphys.server.streams.fanout import FanOut
from tiphys.server.streams.fragments import Codec, Fragments


def application_services(state: State, guard: Guard, audit: AuditLog) -> tuple[object, ...]:
    """List, Create, Get, Update, UpdateSpec, Patch, Delete, Sync, Rollback, TerminateOperation,
    GetApplicationSyncWindows and Watch."""
    fragments: Fragments[Application] = Fragments(state.apps, Codec(dumps, encode))
    catalog = Catalog(state.apps, fragments, state.namespace)
    feed = FanOut(state.apps, fragments, "application")
    access = AppAccess(state, guard)
    writer = AppWriter(state, access)
    validator = AppValidator(state, guard, access)
    return (
        ApplicationListing(state, guard, catalog),
        ApplicationCreation(state, guard, access, validator, writer, audit),
        ApplicationReading(state, access, writer, fragments, feed),
        ApplicationUpdates(guard, access, validator, writer, audit),
        ApplicationDeletion(state, guard, access, writer, audit),
        ApplicationOperations(state, guard, access, writer, audit),
        ApplicationWindows(state, access),
        ApplicationWatching(state, guard, catalog, feed),
    )
