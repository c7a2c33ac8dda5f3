"""What people ask of a repository before (or beside) rendering it (``sources.md`` 16).

``access`` (may we reach it?), ``refs`` (branches and tags), ``apps`` (which directories are
applications), ``details`` (what a source can be parametrised with) and ``charts`` (what a chart
repository offers). Each is a function over the Git store or the renderer; answers are the API's own
messages, failures are :class:`~tiphys.sources.errors.SourceError`. OCI artifacts and plugins are not
read yet and say so.
"""

from tiphys.sources.queries.access import check_access
from tiphys.sources.queries.apps import list_apps
from tiphys.sources.queries.charts import list_charts
from tiphys.sources.queries.details import app_details
from tiphys.sources.queries.refs import list_oci_tags, list_refs

__all__ = ["app_details", "check_access", "list_apps", "list_charts", "list_oci_tags", "list_refs"]
