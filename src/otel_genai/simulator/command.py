"""`otel-genai simulate`: an OpenAI-compatible model server for demos and tests.

This module imports the standard library alone; the server (extra `simulator`) is imported when it starts.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from otel_genai.simulator.faults.faults import FaultError, duration, parse
from otel_genai.simulator.in_process import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_genai.simulator.engine.profile import Profile

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
        help=f"model to serve; may be given several times (default: {DEFAULT_MODEL})",
    )
    parser.add_argument(
        "--profile",
        type=_profile,
        metavar="FILE",
        help="speed and memory of a model on an accelerator (TOML or JSON), for a batch, a KV cache and a queue",
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
        help="start with slow-decode=4, kv-tokens=2000, error-rate=0.3 or stall=2s; `otel-genai fault` changes it later",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of answers and errors (default: 0)")
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="-- command …",
        help="run this with OPENAI_BASE_URL and OPENAI_API_KEY set, stop when it ends, and exit with its status",
    )


def simulate(arguments: argparse.Namespace) -> int:
    """Serve until interrupted, or until the command ends; return the exit status."""
    import asyncio

    from otel_genai.simulator import export, foreground, server
    from otel_genai.simulator.api.app import application
    from otel_genai.simulator.in_process import server_config

    models = arguments.models or [DEFAULT_MODEL]
    faults: dict[str, float | None] = {"error_rate": arguments.error_rate}
    for fault in arguments.faults:
        faults |= fault
    try:
        config = server_config(
            models,
            profile=arguments.profile,
            ttft=arguments.ttft,
            itl=arguments.itl,
            seed=arguments.seed,
            startup=arguments.startup,
            faults=faults,
            telemetry=export.exported_telemetry(),
        )
        listener = server.listen(arguments.host, arguments.port)
    except export.NoTelemetryError as error:
        print(f"otel-genai simulate: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        address = f"{arguments.host}:{arguments.port}"
        print(f"otel-genai simulate: cannot listen on {address}: {error.strerror}", file=sys.stderr)
        return 1
    # Some versions of argparse keep the separator.
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    loading = config.startup.remaining()
    with server.running(application(config), listener) as base_url:
        if command:
            return asyncio.run(foreground.run(command, base_url=base_url, loading=loading))
        ready = f"otel-genai simulate: serving {', '.join(models)} at {base_url}  (Ctrl-C stops)"
        asyncio.run(foreground.until_interrupted(ready, loading=loading))
    return 0


def _duration(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _fault(text: str) -> Mapping[str, float | None]:
    try:
        return parse([text])
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
