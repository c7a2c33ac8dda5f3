"""What a chart repository offers (``sources.md`` 9.6, 16)."""

from tiphys.resources.messages.repository import HelmChart, HelmChartsResponse
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.render.charts import ChartStore


async def list_charts(charts: ChartStore, repository: Repository) -> HelmChartsResponse:
    """Charts sorted by name, their versions as the index lists them; the index is fetched anew.

    Raises:
        SourceError: no index; it is larger than ``--helm-registry-max-index-size``; a registry,
            which has none.
    """
    if repository.enable_oci or repository.type == "oci" or repository.url.startswith("oci://"):
        raise SourceError("Unimplemented", "an OCI registry has no index that lists its charts")
    versions = await charts.versions(repository, fresh=True)
    return HelmChartsResponse(
        items=tuple(HelmChart(name=name, versions=versions[name]) for name in sorted(versions))
    )
