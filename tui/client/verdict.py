"""What a server's refusal means, in words for the user and as the error it is."""

from __future__ import annotations

import re

from tui.client.http import Http
from tui.client.reply import Reply
from tui.client.retry import is_limited, is_locked, is_quota, is_repeated, read_retry_after
from tui.errors import Incomplete, Limited, NotAllowed, Refused, TurnError, Unreachable

_TOO_LONG = re.compile(r"(?i)context_length|context_window|(maximum|max) context|too many tokens|prompt is too long|"
                       r"exceeds? the (context|maximum)|context (size|window|length)")  # fmt: skip
_ENDED = ("?", "!", "…", "。", "\uff01", "\uff1f")
"""How a sentence ends that needs no full stop."""


def explain(reply: Reply, http: Http, *, shown: bool = False) -> TurnError:
    """The error a reply stands for. `shown`: part of the answer had come, so that it is incomplete now."""
    host, status = http.host, reply.status or None
    said, code = http.said(reply.message), http.said(reply.code)
    if shown:
        return Incomplete(f"the server broke off: {said or code or 'an error without words'}", status=status)
    match reply.status:
        case 401:
            return _unauthorised(http, said)
        case 403:
            return NotAllowed(_with(f"{host} does not allow this", said), status=status)
        case 404 | 410 if not is_locked(reply):
            where = http.profile.base_url
            return Refused(_with(f"There is no such endpoint or model at {where}", said, reply.form), status=status)
        case 405 | 415 | 426:
            return Refused(
                f"{host} does not speak the {http.profile.protocol} protocol here.",
                hint="check protocol and base_url",
                status=status,
            )
        case 407 if http.proxy:
            return Unreachable(
                f"The proxy {http.proxy} refused to connect to {host}: it wants a user and a password.",
                hint="check the proxy settings",
                retryable=False,
            )
        case 409 if is_repeated(reply):
            return Refused(
                _with(f"{host} has had this message already", said),
                hint="see whether it was answered there before you send it again",
                status=status,
            )
        case 413:
            return Refused("The message is too large for the server.", status=status)
    if is_locked(reply):
        return Limited(_with("The conversation is busy", said), hint="try again in a moment", status=status)
    if is_quota(reply):
        return Limited(_with("The quota is used up", said), status=status)
    if _TOO_LONG.search(reply.text) and not _is_rate(reply):
        return Refused(
            _with("The conversation is too long for the model", said), hint="go on in a new session", status=status
        )
    if is_limited(reply):
        return Limited(_with(_load(reply, host), said, reply.form), hint=_later(reply, http), status=status)
    if reply.status >= 600 or (reply.status and reply.status < 400):
        return Refused(f"{host} answered with the unexpected status {reply.status}.", status=status)
    kind = "failed" if reply.status >= 500 else "refused the request"
    return Refused(_with(f"{host} {kind}", said or f"status {reply.status}", reply.form), status=status)


def _unauthorised(http: Http, said: str) -> NotAllowed:
    if http.profile.key.where:
        return NotAllowed(_with(f"{http.host} refused the key from {http.key_source}", said), status=401)
    if http.key_header:
        where = f"the header {http.key_header} of profile {http.profile.name}"
        return NotAllowed(_with(f"{http.host} refused the key in {where}", said), status=401)
    return NotAllowed(
        _with(f"{http.host} wants a key", said), hint=f"set api_key_env in profile {http.profile.name}", status=401
    )


def _is_rate(reply: Reply) -> bool:
    """Whether it is the requests that are too many: their tokens may be, without any of them being too long."""
    return reply.status == 429 or reply.code.startswith("rate") or reply.type.startswith("rate")


def _load(reply: Reply, host: str) -> str:
    if _is_rate(reply):
        return f"{host} says: too many requests"
    if reply.status in (502, 504):
        return f"A gateway before {host} got no answer (status {reply.status})"
    if reply.status in (408, 425):
        return f"{host} did not take the request in time (status {reply.status})"
    return f"{host} is overloaded or down" + (f" (status {reply.status})" if reply.status else "")


def _later(reply: Reply, http: Http) -> str:
    asked = read_retry_after(reply.retry_after, http.now())
    return "try again later" if asked is None else f"it asks to wait {asked:.0f} s"


def _with(begin: str, said: str, form: str = "json") -> str:
    """`begin`, and what the server said where that is words and not a page."""
    said = said.strip().rstrip(".")
    if not said or form == "html":
        return f"{begin}{f' (“{said[:80]}”)' if said else ''}."
    return f"{begin}: {said}{'' if said.endswith(_ENDED) else '.'}"
