"""Encodings and sums."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping

from tiphys.templating.gotemplate.values import Function, to_bytes, to_text

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PADDINGS = {4: {2: 2, 3: 1}, 8: {2: 6, 4: 4, 5: 3, 7: 1}}
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def decode64(text: str) -> bytes:
    """Base64 with padding; line ends do not matter.

    Raises:
        ValueError: Go's text.
    """
    return _decoded(text, _BASE64, 4, "base64")


def decode32(text: str) -> bytes:
    """Base32 with padding; line ends do not matter.

    Raises:
        ValueError: Go's text.
    """
    return _decoded(text, _BASE32, 8, "base32")


def _decoded(text: str, alphabet: str, group: int, name: str) -> bytes:
    data = [(place, char) for place, char in enumerate(_characters(text)) if char not in "\r\n"]
    size = len(_characters(text))
    body = 0
    while body < len(data) and data[body][1] in alphabet:
        body += 1
    tail = body % group
    padding = _PADDINGS[group].get(tail)
    wrong = None
    if body == len(data):
        wrong = size - tail if tail else None
    elif data[body][1] != "=" or not padding:
        wrong = data[body][0]
    else:
        end = body + padding
        for place, char in data[body:end]:
            wrong = place if char != "=" and wrong is None else wrong
        if wrong is None and len(data) < end:
            wrong = size
        elif wrong is None and len(data) > end:
            wrong = data[end][0]
    if wrong is not None:
        raise ValueError(f"illegal {name} data at input byte {wrong}")
    joined = "".join(char for _, char in data)
    return base64.b64decode(joined) if group == 4 else base64.b32decode(joined)


def _characters(text: str) -> str:
    return to_bytes(text).decode("latin-1")


def _or_error(decode: Callable[[str], bytes], text: str) -> str:
    try:
        return to_text(decode(text))
    except ValueError as error:
        return str(error)


def functions() -> Mapping[str, Function]:
    """Their table."""
    one = ("string",)
    return {
        "adler32sum": Function(one, lambda text: str(zlib.adler32(to_bytes(text)))),
        "b32dec": Function(one, lambda text: _or_error(decode32, text)),
        "b32enc": Function(one, lambda text: base64.b32encode(to_bytes(text)).decode()),
        "b64dec": Function(one, lambda text: _or_error(decode64, text)),
        "b64enc": Function(one, lambda text: base64.b64encode(to_bytes(text)).decode()),
        "sha1sum": Function(
            one, lambda text: hashlib.sha1(to_bytes(text), usedforsecurity=False).hexdigest()
        ),
        "sha256sum": Function(one, lambda text: hashlib.sha256(to_bytes(text)).hexdigest()),
        "sha512sum": Function(one, lambda text: hashlib.sha512(to_bytes(text)).hexdigest()),
    }
