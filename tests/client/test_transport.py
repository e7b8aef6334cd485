"""Which proxy a server is reached through, as the environment says."""

from __future__ import annotations

import pytest

from tui.client.transport import find_proxy

PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("excepted", "host", "port", "is_direct"),
    [
        ("api.test:8443", "api.test", 8443, True),
        ("api.test:8443", "api.test", None, False),
        ("api.test:443", "api.test", None, True),
        ("a.test, api.test", "api.test", None, True),
        ("a.test api.test", "api.test", None, True),
        ("test", "api.test", None, True),
        (".test", "api.test", None, True),
        (".test", "test", None, True),
        ("*.test", "api.test", None, True),
        ("API.test.", "api.TEST.", None, True),
        ("pi.test", "api.test", None, False),
        ("*", "api.test", None, True),
        ("", "api.test", None, False),
        (",.,:443,[]", "api.test", None, False),
        ("10.0.0.0/8", "10.1.2.3", None, True),
        ("10.0.0.7/8", "10.1.2.3", None, True),
        ("10.0.0.0/8", "11.1.2.3", None, False),
        ("10.0.0.0/8", "api.test", None, False),
        ("10.0.0.0/nonsense", "10.1.2.3", None, False),
        ("10.1.2.3", "10.1.2.3", None, True),
        ("10.1.2.3:80", "10.1.2.3", None, False),
        ("fd00::/8", "fd00::1", None, True),
        ("fd00::/8", "10.1.2.3", None, False),
        ("[fd00::1]", "fd00::1", None, True),
        ("[fd00::1]:443", "fd00::1", None, True),
        ("[fd00::1]:80", "fd00::1", None, False),
        ("fd00::1", "fd00:0::1", None, True),
    ],
)
@pytest.mark.fault("N40")
def test_who_is_excepted(
    excepted: str, host: str, port: int | None, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", excepted)
    assert find_proxy("https", host, port) == (("", "") if is_direct else ("HTTPS_PROXY", PROXY))


@pytest.mark.parametrize("host", ["127.1", "0.0.0.0", "::", "::ffff:127.0.0.1", "2130706433"])
@pytest.mark.fault("N40", "K08")
def test_this_machine_in_other_forms(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert find_proxy("https", host) == ("", "")


def test_a_variable_that_is_empty_in_lower_case_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "api.test")
    monkeypatch.setenv("no_proxy", "")
    assert find_proxy("https", "api.test") == ("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("https_proxy", "")
    assert find_proxy("https", "api.test") == ("", "")
    monkeypatch.setenv("ALL_PROXY", "other.test:1")
    assert find_proxy("https", "api.test") == ("ALL_PROXY", "http://other.test:1")
