"""The command line: parses arguments and calls a command. An error of the user is one line on stderr, never a traceback.

This module imports the standard library only. The package of a command is imported when the command is chosen.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from otel_genai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.runner.options import Options
    from otel_genai.runner.target.become import Target

USAGE_ERROR: Final = 2
"""The exit status of a usage error: argparse and Python use the same."""

_EXAMPLES: Final = """\
examples:
  otel-genai run app.py --its-own-option
  otel-genai run -m package.module
  otel-genai run uvicorn app:app --port 9000
  otel-genai run --with httpx --report bench.html guidellm benchmark
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 otel-genai run app.py
"""

_RUN_USAGE: Final = """\
otel-genai run [options] script.py [argument ...]
       otel-genai run [options] directory-or-zipapp [argument ...]
       otel-genai run [options] -m module [argument ...]
       otel-genai run [options] -c code [argument ...]
       otel-genai run [options] command [argument ...]"""

_RUN_DESCRIPTION: Final = """\
Run a Python program, unmodified, with its GenAI calls instrumented. The Python
processes that it starts are instrumented, too. Options of otel-genai come
before the program; everything after it belongs to the program.
"""

_RUN_EPILOG: Final = """\
OpenTelemetry's environment variables say where telemetry is sent. If none of
them is set, nothing is sent.
  OTEL_EXPORTER_OTLP_ENDPOINT
        a collector: http://localhost:4318 (HTTP), http://localhost:4317 (gRPC)
  OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER
        otlp, console, none, or the name of any other installed exporter
  OTEL_SERVICE_NAME
        the name of the service; by default the name of the program
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT
        SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT: where prompts and responses
        are recorded; by default they are not recorded

"""


class _Parser(argparse.ArgumentParser):
    """Answers a usage error in one line: a page of usage would hide the sentence that matters."""

    def error(self, message: str) -> NoReturn:
        _print_error(f"{self.prog}: {message} (see {self.prog} --help)")
        sys.exit(USAGE_ERROR)

    def has_value(self, option: str) -> bool:
        """Return whether the argument after this option is its value."""
        action = self._option_string_actions.get(option)
        return action is not None and action.nargs is None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status. `argv` is `sys.argv` without its first item by default."""
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
        "simulate",
        help="serve a simulated OpenAI-compatible model",
        description="Serve a simulated OpenAI-compatible model. It needs no GPU and no API key.",
        allow_abbrev=False,
    )
    fault = commands.add_parser(
        "fault",
        help="make a running simulator slow, short of memory, or failing",
        description="Switch faults of running simulators on or off, and print those that are on.",
        allow_abbrev=False,
    )
    report = commands.add_parser(
        "report",
        help="print the figures of recordings, or write a page of graphs",
        description="Print the figures of recordings (a table, JSON, CSV), or write a page of graphs.",
        allow_abbrev=False,
    )
    # Each command has its own parser, so that usage errors begin with the command's name.
    match arguments:
        case ["run", *rest]:
            return _run(run, rest)
        case ["simulate", *rest]:
            return _simulate(simulate, rest)
        case ["fault", *rest]:
            return _fault(fault, rest)
        case ["report", *rest]:
            return _report(report, rest)
    parser.parse_args(arguments)
    return parser.error("no command given")


def _add_run_options(run: _Parser) -> None:
    run.add_argument(
        "--summary",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="print the figures of all calls at the end (the default)",
    )
    run.add_argument("--record", metavar="FILE", help="record every call with the times of its chunks, as JSON lines")
    run.add_argument("--report", metavar="FILE", help="write a page of graphs (HTML) at the end")
    run.add_argument("--capture-content", action="store_true", help="record prompts and responses, too")
    run.add_argument("--service-name", metavar="NAME", help="name of the service in telemetry (default: the program's)")
    run.add_argument(
        "--with",
        metavar="NAMES",
        dest="third_party",
        action="append",
        default=[],
        help="switch on other instrumentations: httpx,fastapi,... or `all` that are installed (repeatable)",
    )
    run.add_argument(
        "--wrap",
        metavar="FUNCTION",
        action="append",
        default=[],
        help="time a function, too: package.module:Class.method[=name] (repeatable)",
    )
    run.add_argument(
        "--no-children",
        action="store_false",
        dest="children",
        help="do not instrument the processes that the program starts",
    )


def _run(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai.runner import run as runner

    options, flag, program = _split(parser, arguments)
    values = parser.parse_args(options)
    if not program:
        parser.error("no program given: a script, -m module, -c code, or a command")
    try:
        return runner.run(_target(flag, *program), _run_options(values))
    except runner.ExtraMissingError:
        return _report_missing_extra("run", "run")
    except runner.CannotRunError as error:
        _print_error(f"{parser.prog}: {error}")
        return USAGE_ERROR


def _run_options(values: argparse.Namespace) -> Options:
    from pathlib import Path

    from otel_genai.runner.options import Options

    return Options(
        summary=values.summary,
        children=values.children,
        service_name=values.service_name,
        capture_content=values.capture_content,
        third_party=tuple(name.strip() for names in values.third_party for name in names.split(",") if name.strip()),
        wrap=tuple(values.wrap),
        record=Path(values.record) if values.record else None,
        report=Path(values.report) if values.report else None,
    )


def _simulate(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai.simulator.command import add_arguments, simulate

    add_arguments(parser)
    values = parser.parse_args(arguments)
    try:
        return simulate(values)
    except ImportError:
        return _report_missing_extra("simulate", "simulator")


def _fault(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai.simulator.faults import command

    command.add_arguments(parser)
    return command.fault(parser.parse_intermixed_args(arguments))


def _report(parser: _Parser, arguments: list[str]) -> int:
    from otel_genai.recording import command

    command.add_arguments(parser)
    values = parser.parse_intermixed_args(arguments)
    try:
        return command.report(values)
    except command.CannotReportError as error:
        _print_error(f"{parser.prog}: {error}")
        return USAGE_ERROR
    except ImportError:
        return _report_missing_extra("report", "report")


def _split(parser: _Parser, arguments: list[str]) -> tuple[list[str], str, list[str]]:
    """Return the options of `otel-genai run`, the program's flag (`-m`, `-c` or ""), and the program with its arguments.

    argparse does not do it: it would take the program's own options.
    """
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        options, rest = arguments[:index], arguments[index + 1 :]
        if argument.startswith(("-m", "-c")):
            # As with Python, both `-m module` and `-mmodule`.
            attached = [argument[2:]] if argument[2:] else []
            return options, argument[:2], [*attached, *rest]
        if argument == "--":
            return options, "", rest
        if not argument.startswith("-"):
            return options, "", [argument, *rest]
        index += 2 if parser.has_value(argument) else 1
    return arguments, "", []


def _target(flag: str, name: str, *arguments: str) -> Target:
    from otel_genai.runner.target.become import Code, Module, Script

    if flag == "-m":
        return Module(name, arguments)
    if flag == "-c":
        return Code(name, arguments)
    if name.endswith(".py"):
        return Script(name, arguments)
    from otel_genai.runner.target.resolve import resolve

    return resolve(name, arguments)


def _report_missing_extra(command: str, extra: str) -> int:
    _print_error(f"otel-genai {command} needs the extra '{extra}': pip install 'otel-genai[{extra}]'")
    return USAGE_ERROR


def _print_error(sentence: str) -> None:
    """Print the sentence to stderr, in one line even if an argument has line breaks."""
    print(" ".join(sentence.split()), file=sys.stderr)
