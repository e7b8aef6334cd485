"""A real server to try things on by hand: `python -m tests.servers_real NAME [--port N] [--pace S] [--key K]`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers_real import agent_server, aimock, smg
from tests.servers_real.install import PACKAGES, install
from tests.servers_real.processes import NotStarted
from tests.servers_real.upstream import behind_agent, behind_smg


@contextmanager
def _served(name: str, folder: Path, port: int, pace: float, key: str) -> Iterator[str]:
    """A server, as the config.toml of whoever wants to talk to it."""
    more = 'api_key_env = "REAL_KEY"' if key else ""
    match name:
        case "aimock":
            with aimock.serving(folder, port=port, key=key) as process:
                texts = [aimock.profile_text(process.url, one, name=one, more=more) for one in aimock.PATHS]
                yield "\n".join(['profile = "chat"\n', *texts])
        case "smg":
            with behind_smg(pace=pace) as model, smg.serving(folder, model.url, port=port, key=key) as process:
                model.service.go_on.set()
                by = f'continue_by = "conversation"\n{more}'
                texts = [
                    smg.profile_text(process.url, name="smg", more=more),
                    smg.profile_text(process.url, name="conversations", more=by),
                ]
                yield "\n".join(['profile = "smg"\n', *texts])
        case _:
            with behind_agent(pace=pace) as model, agent_server.serving(folder, model.url, port=port) as process:
                model.service.go_on.set()
                yield 'profile = "agent"\n\n' + agent_server.profile_text(process.url, name="agent")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers_real", description=__doc__)
    parser.add_argument("name", choices=PACKAGES)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pace", type=float, default=0.05, help="seconds between two pieces of an answer")
    parser.add_argument("--key", default="", help="the key it wants, if any, which Palaver finds in REAL_KEY")
    args = parser.parse_args()
    trouble = install(args.name)
    if trouble:
        print(f"{args.name} cannot be installed: {trouble}", file=sys.stderr)
        return 1
    # Whichever way it is ended, the server is ended first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="palaver-servers-") as folder:
        try:
            with _served(args.name, Path(folder), args.port, args.pace, args.key) as text:
                print(text, flush=True)
                threading.Event().wait()
        except KeyboardInterrupt:
            return 0
        except NotStarted as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
