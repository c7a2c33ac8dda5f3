"""Texts inside HTML, JavaScript and queries."""

from urllib.parse import quote_plus

from tiphys.templating.gotemplate.quoting import is_print
from tiphys.templating.gotemplate.values import to_bytes

_HTML = str.maketrans({"\0": "�", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JS = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


def html(text: str) -> str:
    """A text in HTML."""
    return text.translate(_HTML)


def javascript(text: str) -> str:
    """A text inside a JavaScript string."""
    return "".join(_js_char(char) for char in text)


def _js_char(char: str) -> str:
    if char in _JS:
        return _JS[char]
    if char < " ":
        return f"\\u{ord(char):04X}"
    return char if is_print(char) or char == "\x7f" else f"\\u{ord(char):04X}"


def url_query(text: str) -> str:
    """A text inside a query (``url.QueryEscape``)."""
    return quote_plus(to_bytes(text), safe="~")
