"""Passwords: hashes, checking them without blocking the loop, and making new ones (api.md 11).

bcrypt takes some 60 ms of a core by design. It runs in two threads of its own, so that a storm of
logins takes neither the event loop nor the threads that others work with.
"""

import asyncio
import secrets
import string
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from tiphys.access.errors import AccountError
from tiphys.settings.regexes import PatternError, re2_compile

COST = 10
LONGEST = 72
"""Bytes that bcrypt looks at."""

DEFAULT_PATTERN = "^.{8,32}$"

_ALPHABET = string.digits + string.ascii_letters + "-"
_NOBODYS_HASH = b"$2b$10$e//GyY3ZmfhVS7SsV9fi3uqRy0aXsGIEDDMElnaEWlgk1ByQBmqXK"
"""What the password of an unknown user is checked against (the hash of a thrown away random value): it
costs the same time."""


class Passwords:
    """Hashes and checks, in threads; ``close`` ends them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="bcrypt")

    async def hash(self, password: str) -> str:
        """The hash to store.

        Raises:
            AccountError: longer than bcrypt can tell apart.
        """
        raw = password.encode("utf-8", "surrogatepass")
        if len(raw) > LONGEST:
            raise AccountError(f"bcrypt: password length exceeds {LONGEST} bytes")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, lambda: bcrypt.hashpw(raw, bcrypt.gensalt(COST)))
        return found.decode()

    async def check(self, password: str, stored: str) -> bool:
        """Whether the password is the one of the hash; no hash costs the same and is never right."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _check, password, stored)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _check(password: str, stored: str) -> bool:
    raw = password.encode("utf-8", "surrogatepass")[:LONGEST]
    try:
        is_right = bcrypt.checkpw(raw, stored.encode("utf-8", "surrogatepass") or _NOBODYS_HASH)
    except ValueError:  # no bcrypt hash
        return False
    return is_right and bool(stored)


def new_password(length: int = 16) -> str:
    """A random password of digits, letters and ``-``."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def check_pattern(password: str, pattern: str) -> None:
    """Refuse a password that the installation's pattern (RE2, searched) does not take.

    Raises:
        AccountError: it does not match, or the pattern is none.
    """
    pattern = pattern or DEFAULT_PATTERN
    try:
        is_right = re2_compile(pattern).search(password) is not None
    except PatternError as error:
        raise AccountError(f"passwordPattern is no regular expression: {error}") from None
    except UnicodeEncodeError:
        is_right = False
    if not is_right:
        raise AccountError(f"new password does not match the following expression: {pattern}")
