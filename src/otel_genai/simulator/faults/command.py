"""`otel-genai fault`: switches faults of running simulators on and off. Standard library only."""

from __future__ import annotations

import argparse
import json
import sys
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from otel_genai.simulator.faults.faults import FaultError, State, parse

_DEFAULT_URL: Final = "http://127.0.0.1:8000"
_TIMEOUT: Final = 10.0
"""Seconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `otel-genai fault`."""
    parser.add_argument(
        "changes",
        type=_change,
        nargs="*",
        metavar="NAME=VALUE",
        help="slow-decode=4, kv-tokens=2000, error-rate=0.3, stall=2s; NAME=off or off ends one or all; none lists active faults",
    )
    parser.add_argument(
        "--at",
        dest="urls",
        action="append",
        metavar="URL",
        help=f"the simulator's address; may be given several times (default: {_DEFAULT_URL})",
    )


def fault(arguments: argparse.Namespace) -> int:
    """Switch faults on or off, print the faults that are on, and return the exit status."""
    changes: State = {}
    for change in arguments.changes:
        changes |= change
    status = 0
    for url in arguments.urls or [_DEFAULT_URL]:
        try:
            print(f"{url}: {_shown(_changed(url, changes))}")
        except (OSError, HTTPException, ValueError) as error:
            print(f"otel-genai fault: {url}: {_reason(error)}", file=sys.stderr)
            status = 1
    return status


def _changed(url: str, changes: State) -> State:
    address = f"{url.rstrip('/').removesuffix('/v1')}/faults"
    if not address.startswith(("http://", "https://")):
        raise ValueError("not an address such as http://127.0.0.1:8000")
    request = Request(address, data=json.dumps(changes).encode() if changes else None)  # noqa: S310 - checked above
    with urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
        state: State = json.load(response)
        return state


def _shown(state: State) -> str:
    on = [f"{name.replace('_', '-')}={_value_text(name, value)}" for name, value in state.items() if value is not None]
    return " ".join(on) or "no fault is on"


def _value_text(name: str, value: float) -> str:
    return f"{value:g}s" if name == "stall" else f"{value:g}"


def _reason(error: Exception) -> str:
    if not isinstance(error, HTTPError):
        return str(getattr(error, "reason", error))
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"no simulator answers there (HTTP {error.code})"


def _change(text: str) -> State:
    try:
        return parse([text])
    except FaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
