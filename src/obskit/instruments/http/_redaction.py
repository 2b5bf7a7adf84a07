"""What may be a secret in headers and queries, by its name."""

import re
from functools import lru_cache
from urllib.parse import unquote_plus

HIDDEN_HEADER = "[REDACTED]"
"""In the place of the value of a header that may be a secret."""

HIDDEN_VALUE = "REDACTED"
"""In the place of a value in a query: as OpenTelemetry's conventions for ``url.query`` say."""

_SECRET_HEADER = re.compile(
    r"auth|cookie|credential|csrf|jwt|key|pass|secret|session|signature|token"
)
"""In names of headers; it is rather too much than too little."""

_SECRET_KEY = re.compile(
    r"""
      auth (?! ors? (?: $ | [^a-z] )) | credential | jwt | passw | passphrase | secret
    | session | signature | token | api_?key | access_?key | private_?key
    | ^ code $
    | (?: ^ | [^a-z] ) (?: key | nonce | otp | pin | pwd | sid | sig ) (?: $ | [^a-z] )
    """,
    re.VERBOSE,
)
"""In keys of queries, in lower case and with underscores; with those that the conventions name."""

_PART = re.compile(r"[^&;?]+")

_MAXIMUM_KEY = 128
"""Characters of a key that are looked at; the value of a longer one is hidden."""

_LEVELS = 3
"""How often a value may be a query itself, encoded once more; what is deeper is hidden."""


def is_secret_header(name: str) -> bool:
    """Tell whether the value of a header may be a secret.

    Args:
        name: In lower case.
    """
    return _SECRET_HEADER.search(name) is not None


def redacted_query(text: str) -> str:
    """Return a query with ``REDACTED`` in the place of values that may be secrets.

    Args:
        text: Without the question mark, encoded as it came.
    """
    for part in text.split("&"):
        key, _, value = part.partition("=")
        is_plain = key.isidentifier() and (value.isalnum() or not value)
        if not is_plain or len(key) > _MAXIMUM_KEY or _is_secret_short_key(key):
            return _PART.sub(_hide, text)  # a closer look
    return text


def _hide(part: "re.Match[str]") -> str:
    key, equals, value = part[0].partition("=")
    hidden = equals and (_is_secret_key(key) or _holds_secret(value))
    return f"{key}={HIDDEN_VALUE}" if hidden else part[0]


def _holds_secret(value: str) -> bool:
    """Tell whether a value has a query in it, as an address to go back to has, with a secret."""
    for _ in range(_LEVELS):
        if _has_secret_key(value):
            return True
        plain = unquote_plus(value)
        if plain == value:
            return False
        value = plain
    return "%" in value or _has_secret_key(value)


def _has_secret_key(query: str) -> bool:
    return "=" in query and any(
        _is_secret_key(part.partition("=")[0]) for part in _PART.findall(query) if "=" in part
    )


def _is_secret_key(key: str) -> bool:
    return len(key) > _MAXIMUM_KEY or _is_secret_short_key(key)


@lru_cache(maxsize=1024)
def _is_secret_short_key(key: str) -> bool:
    plain = unquote_plus(key).lower().replace("-", "_")
    return _SECRET_KEY.search(plain) is not None
