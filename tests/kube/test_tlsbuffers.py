"""TLS connections of a cluster cache must not cost a quarter of a megabyte each."""

from asyncio import sslproto

from tiphys.kube.connections import Connection
from tiphys.kube.limits import Limits
from tiphys.kube.tlsbuffers import READ_BUFFER_BYTES
from tiphys.kube.transport import Transport


async def test_opening_a_session_shrinks_the_buffers() -> None:
    made = Transport(Connection("https://x"), Limits())
    made._session(streaming=True)
    assert sslproto.SSLProtocol.max_size == READ_BUFFER_BYTES
    await made.close()
