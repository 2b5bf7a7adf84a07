"""Bearer tokens, as RFC 6750 spells them."""

import re

BEARER_SYNTAX = r"[A-Za-z0-9\-._~+/]+=*"
"""``b64token`` of section 2.1, a regular expression."""


def is_bearer_token(text: object) -> bool:
    """Tell whether a text can be a bearer token."""
    return isinstance(text, str) and re.fullmatch(BEARER_SYNTAX, text) is not None
