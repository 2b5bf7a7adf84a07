"""What may be a secret in headers and queries, by its name."""

import re
from functools import lru_cache
from urllib.parse import unquote_plus

HIDDEN_HEADER = "[REDACTED]"
"""In the place of the value of a header that may be a secret."""

HIDDEN_VALUE = "REDACTED"
"""In the place of a value in a query: as OpenTelemetry's conventions for ``url.query`` say."""

_SECRET_HEADER = re.compile(
    "auth|cookie|credential|csrf|dpop|jwt|key|otp|pass|pin$|secret|session|signature|token"
    "|websocket-protocol|xsrf"
)
"""In names of headers; it is rather too much than too little."""

_SECRET_KEY = re.compile(
    r"""
      assertion | auth (?! ors? (?: $ | [^a-z] )) | cookie | credential | csrf | jwt | passw
    | passphrase | passcode | passkey | saml | secret | sessid | session | signature | ticket
    | token | verification | xsrf | (?: access | api | encryption | private | user ) _? key
    | ^ code $
    | (?: ^ | [^a-z] ) (?: key | nonce | t?otp | pass | pin | pwd? | sid | sig ) (?: $ | [^a-z] )
    """,
    re.VERBOSE,
)
"""In keys of queries, in lower case and with underscores; with those that the conventions name."""

_USER_INFORMATION = re.compile(r"//[^/?#]*@")
"""In an address: a name, and perhaps a password."""

_PART = re.compile(r"[^&;?]+")

_PATH_PART = re.compile(r"[^&;?/]+")

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


def redacted_path(path: str) -> str:
    """Return a path with ``REDACTED`` in the place of values in it that may be secrets.

    Some have parameters, as after ``;``, or an encoded question mark.

    Args:
        path: Decoded.
    """
    return _PATH_PART.sub(_hide, path) if "=" in path else path


def redacted_address(address: str) -> str:
    """Return an address, as of the header ``Location``, without secrets that it may have.

    Args:
        address: Whole or relative.
    """
    address = _USER_INFORMATION.sub(f"//{HIDDEN_VALUE}@", address)
    before, mark, query = address.partition("?")
    return before + mark + redacted_query(query)


def _hide(part: "re.Match[str]") -> str:
    key, equals, value = part[0].partition("=")
    hidden = equals and (_is_secret_key(key) or _holds_secret(value))
    return f"{key}={HIDDEN_VALUE}" if hidden else part[0]


def _holds_secret(value: str) -> bool:
    """Tell whether a value has a query in it, as an address to go back to has, with a secret."""
    for _ in range(_LEVELS):
        if _shows_secret(value):
            return True
        plain = unquote_plus(value)
        if plain == value:
            return False
        value = plain
    return "%" in value or _shows_secret(value)


def _shows_secret(value: str) -> bool:
    """Tell whether a value has a secret in it, as it stands: in a query, an address or JSON."""
    return (
        _has_secret_key(value)
        or _USER_INFORMATION.search(value) is not None
        or ('"' in value and _SECRET_KEY.search(value.lower().replace('"', " ")) is not None)
    )


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
