"""Addresses of servers: what cannot be one is refused in words."""

from __future__ import annotations

import pytest

from tui.addresses import check_base_url
from tui.errors import ConfigError


@pytest.mark.parametrize(
    "url", ["http://[::1é", "http://[:é1]:80/", "http://[::1]é]:80/", "http://é]", "http://[::1]x]:80/"]
)
def test_an_address_with_a_broken_bracket_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"the address (is not valid|has no valid host name)"):
        check_base_url(url)
