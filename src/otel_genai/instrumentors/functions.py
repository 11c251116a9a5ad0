"""Functions that the user names, in any library: a span for each call, and the times of a generator's items."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, ClassVar, Final

from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.endpoint.rows import CallRow
from otel_genai.instrumentors.instrumentor import Instrumentor, register
from otel_genai.operation import Failure, Request, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.config import Config
    from otel_genai.endpoint.rows import Row

_logger = logging.getLogger("otel_genai")

_DOTTED: Final = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_FUNCTION: Final = re.compile(rf"(?P<module>{_DOTTED}):(?P<target>{_DOTTED})(?:=(?P<name>[^,]*[^,\s]))?")


def row_of(specification: str) -> CallRow:
    """The row of `package.module:Class.method[=name]`; a class stands for its constructor.

    Raises ValueError for any other form.
    """
    match = _FUNCTION.fullmatch(specification.strip())
    if match is None:
        raise ValueError(f"{specification!r} is not understood. Use: package.module:Class.method[=name]")
    module, target, name = match.group("module", "target", "name")
    request = Request(operation=name or target, provider="", side=Side.INTERNAL, function=f"{module}.{target}")
    endpoint = Endpoint(
        default=request,
        request=lambda arguments: request,  # noqa: ARG005  # the arguments are not read
        failure=lambda error, content: Failure.of(error, message=str(error) if content else None),
    )
    return CallRow(module=module, target=target, endpoint=endpoint, awaits=None)


class FunctionsInstrumentor(Instrumentor):
    """Times the functions that the setting `OTEL_GENAI_WRAP` names."""

    requires: ClassVar = ()

    def rows_for(self, config: Config) -> Iterator[Row]:
        """One row for each function. A specification of another form is a warning."""
        for specification in config.wrap:
            try:
                yield row_of(specification)
            except ValueError as error:
                _logger.warning("OTEL_GENAI_WRAP: %s", error)


# This module is its own entry point. It is imported only where the setting names a function.
register()
