"""The drivers of `RequestHeadersRow` and `ResponseHeadersRow`: W3C headers of requests, and facts in the headers of responses."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_genai.endpoint.rows import RequestHeadersRow, ResponseHeadersRow
    from otel_genai.patching.driver import Scope

_INJECTING: Final = Guard("a request does not carry the trace context")
_OPERATIONS: Final = "otel_genai.call.context"
# A program that makes no call does not import it: there is no operation then.
_modules: Final[dict[str, Any]] = sys.modules
_READING: Final = Guard("the model is reported as the response's body has it")


def request_headers_driver(row: RequestHeadersRow, method: Callable[..., Any], scope: Scope) -> Callable[..., Any]:  # noqa: ARG001
    """The replacement of a method that builds a request: the request carries the trace context."""
    headers = row.headers

    @wraps(method)
    def build(*args: Any, **kwargs: Any) -> Any:
        request = method(*args, **kwargs)
        try:
            operations = _modules.get(_OPERATIONS)
            if operations is not None:
                operations.inject(headers(request))
        except Exception as error:
            if not _INJECTING.takes(error):
                raise
        return request

    return build


def response_headers_driver(row: ResponseHeadersRow, method: Callable[..., Any], scope: Scope) -> Callable[..., Any]:  # noqa: ARG001
    """The replacement of a method that receives a response: the current operation learns of the model that answered."""
    keyword, header = row.response, row.served_model

    @wraps(method)
    def process(*args: Any, **kwargs: Any) -> Any:
        try:
            headers = kwargs[keyword].headers
            if header in headers:  # httpx's `get` takes twice as long to find that it is missing (0.28 `_models.py`)
                operations = _modules.get(_OPERATIONS)
                operation = None if operations is None else operations.current_operation()
                if operation is not None:
                    operation.served_model = headers[header]
        except Exception as error:
            if not _READING.takes(error):
                raise
        return method(*args, **kwargs)

    return process
