"""`otel-genai simulate`: an OpenAI-compatible model server for demos and tests. Here are its arguments and front doors.

Importing this needs the standard library only; the server itself (extra `simulator`) is imported when it is started.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otel_genai.simulator.faults.faults import FaultError, duration, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_genai.simulator.api.app import ServerConfig
    from otel_genai.simulator.engine.profile import Profile

__all__ = ["add_arguments", "serve", "simulate"]

_DEFAULT_MODEL = "sim-small"
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
        "--profile",
        type=_profile,
        metavar="FILE",
        help="be this model on this accelerator (TOML or JSON): with a batch, a KV cache and a queue",
    )
    parser.add_argument(
        "--ttft",
        type=_duration,
        default="80ms",
        metavar="TIME",
        help="without a profile: time to first token (default: %(default)s)",
    )
    parser.add_argument(
        "--itl",
        type=_duration,
        default="12ms",
        metavar="TIME",
        help="without a profile: inter-token latency (default: %(default)s)",
    )
    parser.add_argument(
        "--error-rate",
        type=_share,
        default=0.0,
        metavar="P",
        help="share of the requests, 0 to 1, that fail with 500 or 429 (default: 0)",
    )
    parser.add_argument(
        "--startup",
        type=_duration,
        metavar="TIME",
        help="time until the model is loaded (default: the profile's, or 0)",
    )
    parser.add_argument(
        "--fault",
        dest="faults",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="begin with slow-decode=4, kv-tokens=2000, error-rate=0.3 or stall=2s; `otel-genai fault` changes it later",
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

    from otel_genai.simulator import foreground, server, telemetry
    from otel_genai.simulator.api.app import application

    models = arguments.models or [_DEFAULT_MODEL]
    faults: dict[str, float | None] = {"error_rate": arguments.error_rate}
    for fault in arguments.faults:
        faults |= fault
    served = _served(
        models,
        profile=arguments.profile,
        ttft=arguments.ttft,
        itl=arguments.itl,
        seed=arguments.seed,
        startup=arguments.startup,
        faults=faults,
    )
    try:
        telemetry.switch_on()
        listener = server.listen(arguments.host, arguments.port)
    except telemetry.NoTelemetryError as error:
        print(f"otel-genai simulate: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        address = f"{arguments.host}:{arguments.port}"
        print(f"otel-genai simulate: cannot listen on {address}: {error.strerror}", file=sys.stderr)
        return 1
    # Some versions of argparse keep the separator.
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    loading = served.startup.remaining()
    with server.running(application(served), listener) as base_url:
        if command:
            return asyncio.run(foreground.run(command, base_url=base_url, loading=loading))
        ready = f"otel-genai simulate: serving {', '.join(models)} at {base_url}  (Ctrl-C stops)"
        asyncio.run(foreground.until_interrupted(ready, loading=loading))
    return 0


@contextmanager
def serve(
    *,
    models: Sequence[str] = (_DEFAULT_MODEL,),
    ttft: float = 0.0,
    itl: float = 0.0,
    error_rate: float = 0.0,
    seed: int = 0,
    profile: Profile | Path | str | None = None,
    startup: float | None = None,
    faults: Mapping[str, float | None] | None = None,
) -> Iterator[str]:
    """A server in this process, on a free loopback port, as long as the block lasts; gives its base URL.

    With a `profile`, or the path of one, it is an engine, and `ttft` and `itl` say nothing; `startup` is then the
    profile's unless given. Times are in seconds; `faults` are named as in `otel_genai.simulator.faults.faults.NAMES`.
    Streams that are open when the block is left are cut off.
    """
    from otel_genai.simulator import server
    from otel_genai.simulator.api.app import application
    from otel_genai.simulator.engine.profile import Profile

    served = _served(
        models,
        profile=Profile.read(profile) if isinstance(profile, str | Path) else profile,
        ttft=ttft,
        itl=itl,
        seed=seed,
        startup=startup,
        faults={"error_rate": error_rate, **(faults or {})},
    )
    with server.running(application(served), server.listen("127.0.0.1", 0)) as base_url:
        yield base_url


def _served(
    models: Sequence[str],
    *,
    profile: Profile | None,
    ttft: float,
    itl: float,
    seed: int,
    startup: float | None,
    faults: Mapping[str, float | None],
) -> ServerConfig:
    from otel_genai.simulator.api.app import ServerConfig
    from otel_genai.simulator.engine.engine import Engine
    from otel_genai.simulator.engine.fixed_rate import FixedRateEngine
    from otel_genai.simulator.engine.lifecycle import Lifecycle
    from otel_genai.simulator.engine.startup import Startup
    from otel_genai.simulator.engine.statistics import Statistics
    from otel_genai.simulator.faults.faults import Faults

    journal = Lifecycle(Statistics(), model=models[0])
    on = Faults(faults, seed=seed)
    engine = (
        Engine(journal, profile, on, seed=seed) if profile else FixedRateEngine(journal, seed=seed, ttft=ttft, itl=itl)
    )
    if startup is None:
        startup = profile.startup_seconds if profile else 0.0
    return ServerConfig(
        models=models,
        generate=engine.generate,
        statistics=journal.statistics,
        faults=on,
        startup=Startup(startup),
        longest=engine.longest,
    )


def _duration(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _fault(text: str) -> Mapping[str, float | None]:
    try:
        return written([text])
    except FaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _profile(text: str) -> Profile:
    from otel_genai.simulator.engine.profile import Profile, ProfileError

    try:
        return Profile.read(text)
    except ProfileError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot read {text}: {error.strerror}") from error


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
