"""Build variables and their substitution, by the rules of Go's ``os.Expand``. Pure.

``ARGOCD_APP_NAME`` and the others (``sources.md`` 7) may stand in Helm parameters, value files,
Kustomize images and labels. Plans hold the text after substitution, so a content key depends on
the revision exactly where the revision is used.
"""

import re
from collections.abc import Mapping

from tiphys.sources.render.request import RenderRequest

_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*)|([*#$@!?\-0-9]))")


class BuildEnvironment(dict[str, str]):
    """Build variables that remember which of them were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.used: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.used.add(name)
        return super().get(name, default)

    @property
    def used_revision(self) -> bool:
        """Whether a variable that changes with every commit was asked for."""
        return any(name.startswith("ARGOCD_APP_REVISION") for name in self.used)


def build_environment(request: RenderRequest) -> BuildEnvironment:
    """The build variables of one source (``sources.md`` 7)."""
    source, revision = request.source, request.revision
    variables = {
        "ARGOCD_APP_NAME": request.app_name,
        "ARGOCD_APP_NAMESPACE": request.destination_namespace,
        "ARGOCD_APP_PROJECT_NAME": request.project,
        "ARGOCD_APP_REVISION": revision,
        "ARGOCD_APP_REVISION_SHORT": revision[:7],
        "ARGOCD_APP_REVISION_SHORT_8": revision[:8],
        "ARGOCD_APP_SOURCE_REPO_URL": source.repo_url,
        "ARGOCD_APP_SOURCE_PATH": source.path,
        "ARGOCD_APP_SOURCE_TARGET_REVISION": source.target_revision,
    }
    return BuildEnvironment(variables)


def substitute(text: str, environment: Mapping[str, str]) -> str:
    """``$VAR`` and ``${VAR}``; ``$$`` → ``$``; unknown names and one-character specials → empty;
    a lone ``$`` stays."""
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        braced, named, special = match.groups()
        if special is not None:
            return "$" if special == "$" else ""
        name = braced if braced is not None else named
        return "$" if name == "$" else environment.get(name, "")

    return _VARIABLE.sub(value, text)
