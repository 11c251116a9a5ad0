"""The command line: parses arguments and hands over. Wrong use is answered in one line on stderr, never with a traceback of ours.

Only the standard library is imported here; the room of a subcommand is imported when it is chosen.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from otel_genai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.runner.target import Target

WRONG_USE = 2
"""Exit status, as argparse and Python itself have it."""

_EXAMPLES = """\
examples:
  otel-genai run app.py --its-own-option
  otel-genai run -m package.module
  otel-genai run -m uvicorn app:app --port 9000
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 otel-genai run app.py
"""

_RUN_DESCRIPTION = """\
Run a Python script or module, unmodified, with its GenAI calls instrumented.
Everything after the script or module belongs to it.
"""

_RUN_EPILOG = """\
Where telemetry goes is told by OpenTelemetry's own environment variables. With
none of them set, nothing is sent anywhere.
  OTEL_EXPORTER_OTLP_ENDPOINT   a collector: http://localhost:4318 (OTLP/HTTP), or
                                http://localhost:4317 (OTLP/gRPC)
  OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER
                                otlp, console, none, or any that is installed
  OTEL_SERVICE_NAME             default: the name of the script or module
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT
                                SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT records
                                prompts and answers; by default they are not

"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: a page of usage hides the sentence that matters."""

    def error(self, message: str) -> NoReturn:
        _say(f"{self.prog}: {message} (see {self.prog} --help)")
        sys.exit(WRONG_USE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(
        prog="otel-genai",
        description="OpenTelemetry instrumentation for GenAI clients and servers.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"otel-genai {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    run = commands.add_parser(
        "run",
        help="run a script or module with its GenAI calls instrumented",
        usage="otel-genai run [options] script.py [argument ...]\n       otel-genai run [options] -m module [argument ...]",
        description=_RUN_DESCRIPTION,
        epilog=_RUN_EPILOG + _EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument("--no-summary", action="store_false", dest="summary", help="print no summary of calls at the end")
    simulate = commands.add_parser(
        "simulate", help="serve a simulated OpenAI-compatible model, with no GPU and no key", allow_abbrev=False
    )
    # Parsed by its own parser, a command answers wrong use under its own name.
    match arguments:
        case ["run", *rest]:
            return _run(run, rest)
        case ["simulate", *rest]:
            return _simulate(simulate, rest)
    parser.parse_args(arguments)
    return parser.error("no command given")


def _run(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai import runner

    options, target = _split(arguments)
    chosen = parser.parse_args(options)
    if target is None:
        parser.error("no script or module given")
    try:
        return runner.run(target, summary=chosen.summary)
    except runner.ExtraMissingError:
        return _needs_extra("run", "run")
    except runner.CannotRunError as error:
        _say(f"{parser.prog}: {error}")
        return WRONG_USE


def _simulate(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai import simulator

    simulator.add_arguments(parser)
    chosen = parser.parse_args(arguments)
    try:
        return simulator.simulate(chosen)
    except ImportError:
        return _needs_extra("simulate", "simulator")


def _split(arguments: list[str]) -> tuple[list[str], Target | None]:
    """Our options, and what is to be run: done by hand, because argparse would claim the script's own options."""
    from otel_genai.runner.target import Module, Script

    for place, argument in enumerate(arguments):
        options, rest = arguments[:place], arguments[place + 1 :]
        if argument.startswith("-m"):
            # Both `-m module` and `-mmodule`, as with Python.
            named = [argument[2:], *rest] if argument != "-m" else rest
            return options, Module(named[0], tuple(named[1:])) if named else None
        if argument == "--":
            return options, Script(rest[0], tuple(rest[1:])) if rest else None
        if not argument.startswith("-"):
            return options, Script(argument, tuple(rest))
    return arguments, None


def _needs_extra(command: str, extra: str) -> int:
    _say(f"otel-genai {command} needs the extra '{extra}': pip install 'otel-genai[{extra}]'")
    return WRONG_USE


def _say(sentence: str) -> None:
    print(" ".join(sentence.split()), file=sys.stderr)
