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

    from otel_genai.runner.run import Options
    from otel_genai.runner.target.become import Target

WRONG_USE = 2
"""Exit status, as argparse and Python itself have it."""

_EXAMPLES = """\
examples:
  otel-genai run app.py --its-own-option
  otel-genai run -m package.module
  otel-genai run uvicorn app:app --port 9000
  otel-genai run --with httpx --report bench.html guidellm benchmark
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 otel-genai run app.py
"""

_RUN_USAGE = """\
otel-genai run [options] script.py [argument ...]
       otel-genai run [options] directory-or-zipapp [argument ...]
       otel-genai run [options] -m module [argument ...]
       otel-genai run [options] -c code [argument ...]
       otel-genai run [options] command [argument ...]"""

_RUN_DESCRIPTION = """\
Run a Python program, unmodified, with its GenAI calls instrumented, and those
of the Python processes that it starts. Everything after its name belongs to it.
"""

_RUN_EPILOG = """\
Where telemetry goes is told by OpenTelemetry's own environment variables. With
none of them set, nothing is sent anywhere.
  OTEL_EXPORTER_OTLP_ENDPOINT   a collector: http://localhost:4318 (OTLP/HTTP), or
                                http://localhost:4317 (OTLP/gRPC)
  OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER
                                otlp, console, none, or any that is installed
  OTEL_SERVICE_NAME             default: the name of the program
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT
                                SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT records
                                prompts and answers; by default they are not

"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: a page of usage hides the sentence that matters."""

    def error(self, message: str) -> NoReturn:
        _say(f"{self.prog}: {message} (see {self.prog} --help)")
        sys.exit(WRONG_USE)

    def takes_value(self, option: str) -> bool:
        """Whether the next argument is this option's value."""
        action = self._option_string_actions.get(option)
        return action is not None and action.nargs is None


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
        help="run a program with its GenAI calls instrumented",
        usage=_RUN_USAGE,
        description=_RUN_DESCRIPTION,
        epilog=_RUN_EPILOG + _EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_run_options(run)
    simulate = commands.add_parser(
        "simulate", help="serve a simulated OpenAI-compatible model, with no GPU and no key", allow_abbrev=False
    )
    fault = commands.add_parser(
        "fault", help="have a running simulator misbehave: slow, out of memory, failing", allow_abbrev=False
    )
    command = commands.add_parser(
        "report", help="show what recordings say: a table, JSON, CSV, or a page", allow_abbrev=False
    )
    # Parsed by its own parser, a command answers wrong use under its own name.
    match arguments:
        case ["run", *rest]:
            return _run(run, rest)
        case ["simulate", *rest]:
            return _simulate(simulate, rest)
        case ["fault", *rest]:
            return _fault(fault, rest)
        case ["report", *rest]:
            return _report(command, rest)
    parser.parse_args(arguments)
    return parser.error("no command given")


def _add_run_options(run: _Parser) -> None:
    run.add_argument(
        "--summary",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="print the figures of all calls at the end (the default)",
    )
    run.add_argument("--record", metavar="FILE", help="record every call and when each chunk came, as JSON lines")
    run.add_argument("--report", metavar="FILE", help="write a page of graphs (HTML) at the end")
    run.add_argument("--capture-content", action="store_true", help="record prompts and answers, too")
    run.add_argument("--service-name", metavar="NAME", help="what telemetry calls the program")
    run.add_argument(
        "--with",
        metavar="NAMES",
        dest="others",
        action="append",
        default=[],
        help="instrument more: httpx,fastapi,... or all that is installed for OpenTelemetry",
    )
    run.add_argument(
        "--wrap",
        metavar="FUNCTION",
        action="append",
        default=[],
        help="time this function, too: package.module:Class.method[=name] (repeatable)",
    )
    run.add_argument(
        "--no-children", action="store_false", dest="children", help="leave processes that it starts alone"
    )


def _run(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai.runner import run as runner

    options, form, words = _split(parser, arguments)
    chosen = parser.parse_args(options)
    if not words:
        parser.error("no program given: a script, -m module, -c code, or a command")
    try:
        return runner.run(_target(form, *words), _run_options(chosen))
    except runner.ExtraMissingError:
        return _needs_extra("run", "run")
    except runner.CannotRunError as error:
        _say(f"{parser.prog}: {error}")
        return WRONG_USE


def _run_options(chosen: argparse.Namespace) -> Options:
    from pathlib import Path

    from otel_genai.runner.run import Options

    return Options(
        summary=chosen.summary,
        children=chosen.children,
        service_name=chosen.service_name,
        capture_content=chosen.capture_content,
        others=tuple(name.strip() for names in chosen.others for name in names.split(",") if name.strip()),
        wrap=tuple(chosen.wrap),
        record=Path(chosen.record) if chosen.record else None,
        report=Path(chosen.report) if chosen.report else None,
    )


def _simulate(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai.simulator.command import add_arguments, simulate

    add_arguments(parser)
    chosen = parser.parse_args(arguments)
    try:
        return simulate(chosen)
    except ImportError:
        return _needs_extra("simulate", "simulator")


def _fault(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai.simulator.faults import command

    command.add_arguments(parser)
    return command.fault(parser.parse_intermixed_args(arguments))


def _report(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai.recording import command

    command.add_arguments(parser)
    chosen = parser.parse_intermixed_args(arguments)
    try:
        return command.report(chosen)
    except command.CannotReportError as error:
        _say(f"{parser.prog}: {error}")
        return WRONG_USE
    except ImportError:
        return _needs_extra("report", "report")


def _split(parser: _Parser, arguments: list[str]) -> tuple[list[str], str, list[str]]:
    """Our options; how the program is named (`-m`, `-c` or ""); and its name with its arguments.

    Done by hand, because argparse would claim the program's own options.
    """
    place = 0
    while place < len(arguments):
        argument = arguments[place]
        options, rest = arguments[:place], arguments[place + 1 :]
        if argument.startswith(("-m", "-c")):
            # Both `-m module` and `-mmodule`, as with Python.
            attached = [argument[2:]] if argument[2:] else []
            return options, argument[:2], [*attached, *rest]
        if argument == "--":
            return options, "", rest
        if not argument.startswith("-"):
            return options, "", [argument, *rest]
        place += 2 if parser.takes_value(argument) else 1
    return arguments, "", []


def _target(form: str, name: str, *arguments: str) -> Target:
    from otel_genai.runner.target.become import Code, Module, Script

    if form == "-m":
        return Module(name, arguments)
    if form == "-c":
        return Code(name, arguments)
    if name.endswith(".py"):
        return Script(name, arguments)
    from otel_genai.runner.target.resolve import program

    return program(name, arguments)


def _needs_extra(command: str, extra: str) -> int:
    _say(f"otel-genai {command} needs the extra '{extra}': pip install 'otel-genai[{extra}]'")
    return WRONG_USE


def _say(sentence: str) -> None:
    print(" ".join(sentence.split()), file=sys.stderr)
