"""The configuration that children inherit from a run: two environment variables, and no more.

PYTHONPATH begins with a folder that holds a `sitecustomize`, and OTEL_GENAI_RUN holds its configuration. Without the latter, the
`sitecustomize` does nothing.
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

_ignores_inherited = False


class ChildConfig(NamedTuple):
    """The configuration of one process: the JSON in OTEL_GENAI_RUN has these keys."""

    service_name: str
    """The default of `service.name`."""
    third_party: tuple[str, ...] = ()
    """Entry points of instrumentors from other packages."""
    calls_folder: str | None = None
    """The folder where processes write their calls for the summary; `None` without a summary."""
    trace_headers: Mapping[str, str] | None = None
    """W3C headers of the trace that the run was started within."""


def export_to_children(config: ChildConfig, *, modules: Iterable[str]) -> None:
    """Have Python processes that start from now on instrumented before the import of one of these top-level modules."""
    # The modules come first, so that a child reads them without a parser.
    os.environ[RUN] = f"{','.join(sorted(modules))} {json.dumps(config._asdict())}"
    os.environ[_PATH] = os.pathsep.join([_FOLDER, *_search_path()])


def hide_from_children() -> None:
    """Have no child instrumented, even if this process was itself started by a run."""
    os.environ.pop(RUN, None)
    if _search_path():
        os.environ[_PATH] = os.pathsep.join(_search_path())
    else:
        os.environ.pop(_PATH, None)


def inherited(*, trace_headers: Mapping[str, str]) -> ChildConfig:
    """Return the configuration in the environment; raises ValueError, KeyError or TypeError if it cannot be read.

    `trace_headers` are those of this process's own environment. They win over the run's: the parent has set them on purpose.
    """
    found = json.loads(os.environ[RUN].partition(" ")[2])
    headers = trace_headers or found["trace_headers"]
    return ChildConfig(**found | {"third_party": tuple(found["third_party"]), "trace_headers": headers})


def ignore_inherited() -> None:
    """Make this process a run of its own: it ignores the configuration of a run that has started it."""
    global _ignores_inherited  # noqa: PLW0603 - one a process
    _ignores_inherited = True


def ignores_inherited() -> bool:
    """Return whether this process is a run of its own."""
    return _ignores_inherited


def _search_path() -> list[str]:
    """Return PYTHONPATH without the folder of this package."""
    folders = os.environ.get(_PATH, "").split(os.pathsep) if os.environ.get(_PATH) else []
    return [folder for folder in folders if folder != _FOLDER]
