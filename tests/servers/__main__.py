"""A stand-in server to try things on by hand: `python -m tests.servers NAME [--port N] [--pace S] [--key K]`.

What it answers is told by how a prompt begins (`tests.servers.base.manner`). A POST to /__fake__/forget has it forget every
conversation; one to /__fake__/go_on lets what hangs go on.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import threading

from tests.servers.base import serving

NAMES = (
    "responses", "chat", "anthropic", "ollama", "genie", "agent-server", "rill", "agenta", "docker-chat", "docker-agent",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pace", type=float, default=0.05, help="seconds between two pieces of an answer")
    parser.add_argument("--key", default="", help="the key it wants, if any")
    args = parser.parse_args()
    module = importlib.import_module(f"tests.servers.{args.name.replace('-', '_')}")
    with serving(module.make(pace=args.pace, key=args.key), args.port) as running:
        print(module.profile_text(running.url, key=bool(args.key)), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
