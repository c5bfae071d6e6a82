"""Run a command with the offline model in place of Anthropic's.

python -m offline perdure dev       # or: langgraph dev, python ...
python -m offline                   # the model alone
"""

import argparse
import os
import signal
import subprocess
import sys
import threading

from .server import ModelServer


def main() -> int:
    """Serve until the command ends, or until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m offline", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 is any free one")
    parser.add_argument("--pause", type=float, default=0.03, help="seconds between two words")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run")
    wish = parser.parse_args()
    stopped = threading.Event()

    def stop(_: int, __: object) -> None:
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with ModelServer(wish.port, pause=wish.pause) as server:
        if wish.command:
            return run(wish.command, {**os.environ, **server.environment})
        for name, value in server.environment.items():
            print(f"export {name}={value}", flush=True)
        stopped.wait()
    return 0


def run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command to its end; what is to stop this process stops the command."""
    process = subprocess.Popen(command, env=environment)  # noqa: S603 (the user's own command)

    def stop(number: int, _: object) -> None:
        if number == signal.SIGTERM:  # Ctrl-C comes to the command from the terminal
            process.terminate()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return process.wait()


sys.exit(main())
