"""What the server does to projects once, at its start (api.md 1, last line).

Tokens of roles stand in the spec and in the status; an installation that was restored, or edited by
hand, may have them in one place only, and only those in the status are good. Both are brought to the
same content.
"""

from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.projects.tokens import normalize_tokens
from tiphys.resources.project import AppProject
from tiphys.server.services.projects.writing import Projects
from tiphys.server.state import State
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)


async def normalize_all_tokens(state: State) -> None:
    """Bring the tokens of every project into order; a project that cannot be written holds up no
    other, and no start."""
    projects = Projects(state)
    for project in projects.all():
        if normalize_tokens(project) is project:
            continue
        try:
            await projects.change(project.name, _normalized)
        except (ApiError, ClusterUnreachable) as error:
            log.warning("tokens not brought into order: %s", error, extra={"project": project.name})


def _normalized(project: AppProject) -> AppProject | None:
    normal = normalize_tokens(project)
    return None if normal is project else normal
