"""Passwords, keys and ciphers. Slow on purpose, so each call counts for many steps."""

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable, Mapping
from random import Random
from uuid import UUID

import bcrypt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.values import Function, check_size, to_bytes, to_text
from tiphys.templating.sprig.encodings import decode64

_SEED = b"com.lyndir.masterpassword"
_TEMPLATES = {
    "maximum": ("anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"),
    "long": (
        *("CvcvnoCvcvCvcv", "CvcvCvcvnoCvcv", "CvcvCvcvCvcvno", "CvccnoCvcvCvcv", "CvccCvcvnoCvcv"),
        *("CvccCvcvCvcvno", "CvcvnoCvccCvcv", "CvcvCvccnoCvcv", "CvcvCvccCvcvno", "CvcvnoCvcvCvcc"),
        *("CvcvCvcvnoCvcc", "CvcvCvcvCvccno", "CvccnoCvccCvcv", "CvccCvccnoCvcv", "CvccCvccCvcvno"),
        *("CvcvnoCvccCvcc", "CvcvCvccnoCvcc", "CvcvCvccCvccno", "CvccnoCvcvCvcc", "CvccCvcvnoCvcc"),
        "CvccCvcvCvccno",
    ),
    "medium": ("CvcnoCvc", "CvcCvcno"),
    "short": ("Cvcn",),
    "basic": ("aaanaaan", "aannaaan", "aaannaaa"),
    "pin": ("nnnn",),
}
_CLASSES = {
    "V": "AEIOU",
    "C": "BCDFGHJKLMNPQRSTVWXYZ",
    "v": "aeiou",
    "c": "bcdfghjklmnpqrstvwxyz",
    "A": "AEIOUBCDFGHJKLMNPQRSTVWXYZ",
    "a": "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
    "n": "0123456789",
    "o": "@&%?,=[]_:-+*$#!'^~;()/.",
    "x": "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
}


def derive_password(counter: int, kind: str, password: str, user: str, site: str) -> str:
    """A site's password by the algorithm of Master Password."""
    templates = _TEMPLATES.get(kind)
    if templates is None:
        return f"cannot find password template {kind}"
    name, place = to_bytes(user), to_bytes(site)
    salt = _SEED + struct.pack(">I", len(name)) + name
    key = hashlib.scrypt(to_bytes(password), salt=salt, n=32768, r=8, p=2, maxmem=1 << 26, dklen=64)
    message = _SEED + struct.pack(">I", len(place)) + place + struct.pack(">I", counter & 0xFFFFFFFF)
    seed = hmac.new(key, message, hashlib.sha256).digest()
    template = templates[seed[0] % len(templates)]
    return "".join(
        _CLASSES[letter][seed[number] % len(_CLASSES[letter])] for number, letter in enumerate(template, 1)
    )


def hashed(password: str) -> str:
    """A bcrypt hash."""
    data = to_bytes(password)
    if len(data) > 72:
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
    return bcrypt.hashpw(data, bcrypt.gensalt(10, b"2a")).decode()


def htpasswd(user: str, password: str) -> str:
    """A line of a file of users."""
    return f"invalid username: {user}" if ":" in user else f"{user}:{hashed(password)}"


def _key(password: str) -> bytes:
    return to_bytes(password)[:32].ljust(32, b"\0")


def encrypt(password: str, text: str, vector: bytes) -> str:
    """AES in CBC, with the initialization vector in front, in Base64."""
    if not text:
        return ""
    data = to_bytes(text)
    missing = 16 - len(data) % 16
    encryptor = Cipher(algorithms.AES(_key(password)), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(data + bytes([missing]) * missing) + encryptor.finalize()
    return base64.b64encode(vector + sealed).decode()


def decrypt(password: str, text: str) -> str:
    """The way back."""
    if not text:
        return ""
    try:
        data = decode64(text)
    except ValueError as error:
        raise GoError(str(error)) from None
    if len(data) < 16:
        raise GoError(f"runtime error: slice bounds out of range [:16] with capacity {len(text) // 4 * 3}")
    if len(data) % 16:
        raise GoError("crypto/cipher: input not full blocks")
    decryptor = Cipher(algorithms.AES(_key(password)), modes.CBC(data[:16])).decryptor()
    opened = decryptor.update(data[16:]) + decryptor.finalize()
    if not opened:
        raise GoError("runtime error: index out of range [-1]")
    if opened[-1] > len(opened):
        raise GoError(f"runtime error: slice bounds out of range [:{len(opened) - opened[-1]}]")
    return to_text(opened[: len(opened) - opened[-1]])


def _random_bytes(random: Random, count: int) -> str:
    check_size(count)
    if count < 0:
        raise GoError("runtime error: makeslice: len out of range")
    return base64.b64encode(random.randbytes(count)).decode()


def functions(random: Random) -> Mapping[str, Function]:
    """Their table."""
    two = ("string", "string")
    make_uuid: Callable[[], str] = lambda: str(UUID(bytes=random.randbytes(16), version=4))  # noqa: E731
    return {
        "bcrypt": Function(("string",), hashed, cost=20_000),
        "decryptAES": Function(two, decrypt),
        "derivePassword": Function(
            ("uint32", "string", "string", "string", "string"), derive_password, cost=40_000
        ),
        "encryptAES": Function(two, lambda password, text: encrypt(password, text, random.randbytes(16))),
        "htpasswd": Function(two, htpasswd, cost=20_000),
        "randBytes": Function(("int",), lambda count: _random_bytes(random, count)),
        "uuidv4": Function((), make_uuid),
    }
