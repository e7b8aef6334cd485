"""What the stand-in servers share, as clients see it."""

from __future__ import annotations

import http.client
import json

from tests.servers import chat
from tests.servers.base import serving


def test_a_connection_is_kept_after_a_stream() -> None:
    body = json.dumps({"model": "fake", "stream": True, "messages": [{"role": "user", "content": "hello"}]})
    with serving(chat.make()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for _ in range(3):
            connection.request("POST", "/v1/chat/completions", body)
            assert connection.getresponse().read().endswith(b"data: [DONE]\n\n")
            assert connection.sock is not None
        connection.close()
