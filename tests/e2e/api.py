"""The API of a running operator, called as curl would."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tests.controlplane.installation import Operator
from tests.controlplane.kubectl import Kubectl


class Answer:
    """What came back: ``status`` and ``text``, and ``json`` where it is some."""

    def __init__(self, status: int, text: str):
        self.status = status
        self.text = text

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Api:
    """Calls as one user."""

    def __init__(self, base: str, certificate: str, token: str = ""):
        self.base = base
        self.certificate = certificate
        self.token = token
        context = ssl.create_default_context(cadata=certificate)
        context.check_hostname = False  # it is called by address
        # Redirects (after a logout) are the answer; proxies of the environment are for elsewhere.
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _Still())
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, verb: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; a failure is an answer, too."""
        sent = {"Content-Type": "application/json", **headers}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, headers=sent, method=verb)
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())

    def done(self, verb: str, path: str, body: Any = None) -> Any:
        """The JSON of a request that must succeed."""
        answer = self.call(verb, path, body)
        assert answer.status == 200, f"{verb} {path}: {answer.status} {answer.text[:2000]}"
        return answer.json


class _Still(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def secret_of(kubectl: Kubectl, namespace: str, name: str) -> dict[str, str]:
    """The decoded data of a Secret."""
    data = kubectl.json("get", "secret", name, "-n", namespace).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def log_in(operator: Operator, kubectl: Kubectl, namespace: str) -> Api:
    """As ``admin``, with the password that the first start made."""
    certificate = secret_of(kubectl, namespace, "argocd-secret")["tls.crt"]
    password = secret_of(kubectl, namespace, "argocd-initial-admin-secret")["password"]
    nobody = Api(f"https://{operator.api_address}", certificate)
    session = nobody.done("POST", "/api/v1/session", {"username": "admin", "password": password})
    return Api(nobody.base, certificate, session["token"])


def escaped(text: str) -> str:
    """For one step of a path."""
    return urllib.parse.quote(text, safe="")
