"""Real Git remotes for tests: repositories, an HTTP(S) server and an SSH server on loopback.

``GitRepo`` writes history; ``HttpGitServer`` serves a folder of repositories through Git's own
``http-backend``, with or without TLS, user and password, bearer token or client certificates;
``SshGitServer`` is an OpenSSH ``sshd`` with its own host key. Each is a context manager and prints
nothing. For any room's tests: ``from tests.gitservers import …``.
"""

import base64
import contextlib
import datetime
import http.server
import ipaddress
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.debian import ensure_program

_GIT_ENV = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class GitRepo:
    """A working repository with branch ``main``. ``url`` reaches it through ``file://``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        # what GitHub and GitLab allow, too
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.git("config", "http.receivepack", "true")
        self.git("config", "gc.auto", "0")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str, stdin: bytes | None = None, **env: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=os.environ | _GIT_ENV | env,
            input=stdin,
            capture_output=True,
        )
        if done.returncode:
            raise AssertionError(f"git {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode().strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files; ``None`` deletes."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def link(self, name: str, target: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def commit(
        self, files: Mapping[str, str | bytes | None] | None = None, message: str = "change", **env: str
    ) -> str:
        """Write the files and commit everything; the new SHA."""
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", message, **env)
        return self.head()

    def tag(self, name: str, *, annotated: bool = False) -> None:
        self.git("tag", *(["-a", "-m", f"tag {name}"] if annotated else []), name)

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")


class Authority:
    """A certificate authority of its own; certificates are PEM text."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._certificate = (
            _builder(name, name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._name = name

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, common_name: str) -> tuple[str, str]:
        """(certificate, key) for a server on loopback or a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        certificate = (
            _builder(name, self._name, key)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return (
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )


class HttpGitServer:
    """Serves the repositories below ``folder`` as ``<url>/<name>`` through ``git http-backend``.

    Attributes may be changed while it runs: ``basic`` (user, password), ``bearer`` (token),
    ``interrupt`` (called before each request with its path; may block or raise), ``requests``
    (every request line so far, with the status).
    """

    def __init__(
        self,
        folder: Path,
        *,
        basic: tuple[str, str] | None = None,
        bearer: str | None = None,
        authority: Authority | None = None,
        client_authority: Authority | None = None,
    ) -> None:
        self.folder = folder
        self.basic = basic
        self.bearer = bearer
        self.interrupt: Callable[[str], object] | None = None
        self.requests: list[str] = []
        self.seen_authorization: list[str] = []
        outer = self

        class Handler(_BackendHandler):
            server_of_test = outer

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._scheme = "http"
        if authority is not None:
            self._scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            place = folder / f".tls-{self._server.server_port}"
            place.mkdir(mode=0o700)
            certificate, key = authority.issue("localhost")
            (place / "crt").write_text(certificate)
            (place / "key").write_text(key)
            context.load_cert_chain(place / "crt", place / "key")
            if client_authority is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=client_authority.pem)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self._server.server_port}"

    def __enter__(self) -> "HttpGitServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _BackendHandler(http.server.BaseHTTPRequestHandler):
    server_of_test: HttpGitServer
    protocol_version = "HTTP/1.0"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # refused handshakes, killed clients
            super().handle()

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._serve(body)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().strip(), 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _allowed(self) -> bool:
        test = self.server_of_test
        given = self.headers.get("Authorization", "")
        if given:
            test.seen_authorization.append(given)
        if test.basic is not None:
            return given == "Basic " + base64.b64encode(":".join(test.basic).encode()).decode()
        return test.bearer is None or given == f"Bearer {test.bearer}"

    def _serve(self, body: bytes) -> None:
        test = self.server_of_test
        path, _, query = self.path.partition("?")
        if test.interrupt is not None:
            test.interrupt(self.path)
        if not self._allowed():
            test.requests.append(f"{self.command} {self.path} 401")
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(test.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_USER": "test",
                "REMOTE_ADDR": "127.0.0.1",
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        status = 200
        headers = []
        for line in head.decode().splitlines():
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            else:
                headers.append((name, value))
        test.requests.append(f"{self.command} {self.path} {status}")
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        # with a length, clients do not take the plain end of a TLS connection for a cut
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class SshGitServer:
    """An ``sshd`` on loopback for the user who runs the tests.

    ``url(path)`` is an ``ssh://`` URL; ``private_key`` is accepted; ``known_hosts`` is the file
    content that trusts it; ``other_known_hosts`` names it with a wrong key.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        for name in ("host", "client", "other"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
            )
        self.private_key = (folder / "client").read_text()
        self.port = _free_port()
        self.user = _user_name()
        self.known_hosts = self._known("host")
        self.other_known_hosts = self._known("other")
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"

    def _known(self, name: str) -> str:
        key = (self.folder / f"{name}.pub").read_text().rsplit(" ", 1)[0]
        return f"[127.0.0.1]:{self.port} {key}\n"

    def __enter__(self) -> "SshGitServer":
        sshd = ensure_program("sshd", "openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (self.folder / "authorized").write_text((self.folder / "client.pub").read_text())
        (self.folder / "config").write_text(
            f"""Port {self.port}
ListenAddress 127.0.0.1
HostKey {self.folder / "host"}
AuthorizedKeysFile {self.folder / "authorized"}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
"""
        )
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(self.folder / "config")], stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                log_text = (self.folder / "log").read_text()
                assert self._process.poll() is None, log_text
                assert time.monotonic() < deadline, log_text
                time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _user_name() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of ``size`` (``2m``) at ``path``; needs root."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def enlarge(path: Path, size: str) -> None:
    """Give the :func:`small_disk` at ``path`` another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(path)], check=True)
