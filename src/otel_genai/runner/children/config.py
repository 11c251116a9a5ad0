"""What a run hands down to the processes that it starts: two environment variables, and no more.

PYTHONPATH begins with a folder that holds a `sitecustomize`, and OTEL_GENAI_RUN tells it what to do; without the latter it does
nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RUN: Final = "OTEL_GENAI_RUN"
_PATH: Final = "PYTHONPATH"
_FOLDER: Final = os.fspath(Path(__file__).with_name("on_path"))

_is_disowned = False


class ChildConfig(NamedTuple):
    """What a child needs to know."""

    service_name: str
    """Where nobody names the service."""
    others: tuple[str, ...] = ()
    """The instrumentors that are not ours, by the names of their entry points."""
    tally: str | None = None
    """The folder in which processes leave the figures of their calls for the summary."""
    trace: Mapping[str, str] | None = None
    """The W3C headers of the trace that the run belongs to."""


def export_to_children(inheritance: ChildConfig, *, waited_for: Iterable[str]) -> None:
    """Have Python processes that are started from now on instrumented before they import one of these top-level modules."""
    # The names come first, for the child to read them without a parser.
    os.environ[RUN] = f"{','.join(sorted(waited_for))} {json.dumps(inheritance._asdict())}"
    os.environ[_PATH] = os.pathsep.join([_FOLDER, *_path()])


def hide_from_children() -> None:
    """Have none of them instrumented, also where this process itself was started by a run."""
    os.environ.pop(RUN, None)
    if _path():
        os.environ[_PATH] = os.pathsep.join(_path())
    else:
        os.environ.pop(_PATH, None)


def inherited(*, trace: Mapping[str, str]) -> ChildConfig:
    """What this process, which was started by a run, was told; raises ValueError if that cannot be read.

    `trace` is what its environment says of the trace that it was started within; whoever started it knows better than the run.
    """
    told = json.loads(os.environ[RUN].partition(" ")[2])
    return ChildConfig(**told | {"others": tuple(told["others"]), "trace": trace or told["trace"]})


def ignore_inherited() -> None:
    """Say that this process is a run itself, and sets itself up, whoever started it."""
    global _is_disowned  # noqa: PLW0603 - one a process
    _is_disowned = True


def is_disowned() -> bool:
    """Whether this process is a run itself."""
    return _is_disowned


def _path() -> list[str]:
    """The search path that others have set."""
    places = os.environ.get(_PATH, "").split(os.pathsep) if os.environ.get(_PATH) else []
    return [place for place in places if place != _FOLDER]
