"""`otel-genai simulate`: an OpenAI-compatible model server for demos and tests. Here are its arguments and front doors.

Importing this needs the standard library only; the server itself (extra `simulator`) is imported when it is started.
"""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.types import ASGIApp

__all__ = ["add_arguments", "serve", "simulate"]

_DEFAULT_MODEL = "sim-small"
_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>ms|s)|0")
_HIGHEST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `otel-genai simulate`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=8000, metavar="N", help="port to listen on; 0 means any free one (default: 8000)"
    )
    parser.add_argument(
        "--model",
        dest="models",
        action="append",
        metavar="NAME",
        help=f"model to serve; may be given several times (default: {_DEFAULT_MODEL})",
    )
    parser.add_argument(
        "--ttft", type=_duration, default="80ms", metavar="TIME", help="time to first token (default: %(default)s)"
    )
    parser.add_argument(
        "--itl", type=_duration, default="12ms", metavar="TIME", help="inter-token latency (default: %(default)s)"
    )
    parser.add_argument(
        "--error-rate",
        type=_share,
        default=0.0,
        metavar="P",
        help="share of the requests, 0 to 1, that fail with 500 or 429 (default: 0)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="what answers and errors are drawn from (default: 0)"
    )
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="-- command …",
        help="run this with OPENAI_BASE_URL and OPENAI_API_KEY set, stop when it ends, and exit with its status",
    )


def simulate(arguments: argparse.Namespace) -> int:
    """Serve until interrupted, or until the command has ended; return the exit status."""
    import asyncio

    from otel_genai.simulator import foreground, server

    models = arguments.models or [_DEFAULT_MODEL]
    app = _application(
        models, ttft=arguments.ttft, itl=arguments.itl, error_rate=arguments.error_rate, seed=arguments.seed
    )
    try:
        listener = server.listen(arguments.host, arguments.port)
    except OSError as error:
        address = f"{arguments.host}:{arguments.port}"
        print(f"otel-genai simulate: cannot listen on {address}: {error.strerror}", file=sys.stderr)
        return 1
    # Some versions of argparse keep the separator.
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    status = 0
    with server.running(app, listener) as base_url:
        if command:
            status = asyncio.run(foreground.run(command, base_url=base_url))
        else:
            ready = f"otel-genai simulate: serving {', '.join(models)} at {base_url}  (Ctrl-C stops)"
            asyncio.run(foreground.until_interrupted(ready))
    return status


@contextmanager
def serve(
    *,
    models: Sequence[str] = (_DEFAULT_MODEL,),
    ttft: float = 0.0,
    itl: float = 0.0,
    error_rate: float = 0.0,
    seed: int = 0,
) -> Iterator[str]:
    """A server in this process, on a free loopback port, as long as the block lasts; gives its base URL.

    Times are in seconds. Streams that are open when the block is left are cut off.
    """
    from otel_genai.simulator import server

    app = _application(models, ttft=ttft, itl=itl, error_rate=error_rate, seed=seed)
    with server.running(app, server.listen("127.0.0.1", 0)) as base_url:
        yield base_url


def _application(models: Sequence[str], *, ttft: float, itl: float, error_rate: float, seed: int) -> ASGIApp:
    from otel_genai.simulator.app import application
    from otel_genai.simulator.engine import Engine
    from otel_genai.simulator.errors import Faults

    engine = Engine(seed=seed, ttft=ttft, itl=itl)
    return application(models=models, generate=engine.generate, faults=Faults(rate=error_rate, seed=seed))


def _duration(text: str) -> float:
    """Seconds; `80ms`, `1.5s` and `0` are durations."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 80ms, 1.5s or 0")
    return float(match["number"] or 0) / (1000 if match["unit"] == "ms" else 1)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number (0 to {_HIGHEST_PORT})")
    return int(text)
