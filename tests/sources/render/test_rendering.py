"""Content keys, the cache, shared work and remembered failures (sources.md 17; design 4)."""

import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest

from tests.sources.render.support import Bench, config_map
from tiphys.sources.errors import DiskFull, SourceError
from tiphys.sources.render.cache import Failures, RenderCache
from tiphys.sources.render.tools import disk_error
from tiphys.sources.rendering import Rendered, Renderer, RenderOptions


async def test_a_commit_renders_only_what_it_touched(bench: Bench) -> None:
    bench.commit({f"apps/{n}/cm.yaml": config_map(f"cm{n}") for n in range(20)})
    sources = [{"path": f"apps/{n}"} for n in range(20)]
    before = [await bench.rendered(source) for source in sources]
    assert bench.renderer.renders == 20
    sha = bench.commit({"apps/7/cm.yaml": config_map("other"), "README": "x"})
    after = [await bench.rendered(source) for source in sources]
    assert bench.renderer.renders == 21
    assert {each.revision for each in after} == {sha}
    changed = [a.content_key != b.content_key for a, b in zip(after, before, strict=True)]
    assert changed == [n == 7 for n in range(20)]


async def test_applications_with_equal_content_share_a_render(bench: Bench) -> None:
    bench.commit({"app/cm.yaml": config_map("x")})
    one = await bench.rendered({"path": "app"}, app_name="one")
    two = await bench.rendered({"path": "app"}, app_name="two", destination_namespace="other")
    assert one.content_key == two.content_key
    assert bench.renderer.renders == 1


async def test_requests_at_once_share_a_render(bench: Bench) -> None:
    bench.commit({"app/cm.yaml": config_map("x")})
    results = await asyncio.gather(*(bench.rendered({"path": "app"}, app_name=f"a{n}") for n in range(30)))
    assert len({each.content_key for each in results}) == 1
    assert bench.renderer.renders == 1


async def test_no_cache_renders_again(bench: Bench) -> None:
    bench.commit({"app/cm.yaml": config_map("x")})
    await bench.rendered({"path": "app"})
    await bench.rendered({"path": "app"}, no_cache=True)
    assert bench.renderer.renders == 2


async def test_going_back_is_free(bench: Bench) -> None:
    first = bench.commit({"app/cm.yaml": config_map("x")})
    await bench.rendered({"path": "app"})
    bench.commit({"app/cm.yaml": config_map("z")})
    await bench.rendered({"path": "app"})
    bench.sha = first
    assert await bench.names({"path": "app"}) == ["x"]
    assert bench.renderer.renders == 2


async def test_failures_pause_further_attempts(bench: Bench) -> None:  # 17.2
    bench.commit({"app/cm.yaml": "apiVersion: v1\nkind: [\nmetadata: x\n"})
    for _ in range(3):
        with pytest.raises(SourceError, match=r"^Failed to unmarshal"):
            await bench.rendered({"path": "app"})
    with pytest.raises(SourceError, match=r"^Manifest generation error \(cached\): Failed to unmarshal"):
        await bench.rendered({"path": "app"})
    with pytest.raises(SourceError, match=r"^Failed to unmarshal"):
        await bench.rendered({"path": "app"}, no_cache=True)
    bench.commit({"app/cm.yaml": config_map("x")})
    assert await bench.names({"path": "app"}) == ["x"]


def test_pause_ends_by_time_or_requests() -> None:  # 17.2
    error = SourceError("Unknown", "broken")
    failures = Failures(after=2, seconds=60, requests=0)
    for _ in range(2):
        failures.check("a", 0)
        failures.note("a", error, 0)
    with pytest.raises(SourceError, match="cached"):
        failures.check("a", 59)
    failures.check("a", 60)
    failures = Failures(after=1, seconds=0, requests=2)
    failures.note("a", error, 0)
    for _ in range(2):
        with pytest.raises(SourceError, match="cached"):
            failures.check("a", 1e9)
    failures.check("a", 1e9)


def test_cache_is_bounded_in_bytes() -> None:
    cache = RenderCache(10_000)
    for n in range(50):
        cache.put(str(n), Rendered((b"x" * 1000,), "Directory", "r", str(n)))
        assert cache.get("0") is not None or n > 5
    assert cache.size <= 10_000
    assert cache.get("49") is not None
    assert cache.get("3") is None
    cache.put("big", Rendered((b"x" * 20_000,), "Directory", "r", "big"))
    assert cache.get("big") is None


async def test_a_working_folder_that_cannot_be_made(
    bench: Bench, render_options: RenderOptions, tmp_path: Path
) -> None:
    bench.commit({"app/kustomization.yaml": "resources: [cm.yaml]\n", "app/cm.yaml": config_map("x")})
    blocked = tmp_path / "blocked"
    blocked.write_text("")  # a file where the folder should be
    renderer = Renderer(bench.git, msgspec.structs.replace(render_options, root=blocked / "x"))
    with pytest.raises(SourceError, match="cannot make a working folder"):
        await renderer.render(bench.request({"path": "app"}))
    await renderer.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_its_own_error(number: int) -> None:
    error = disk_error("cannot write", OSError(number, os.strerror(number)))
    assert isinstance(error, DiskFull)
    assert "no space left on device: free space under the cache folder" in error.message
