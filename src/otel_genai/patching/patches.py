"""Applies a provider's rows when their modules are imported, and reverts them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, SupportsIndex

import wrapt

from otel_genai.endpoint.rows import resolve
from otel_genai.guard import Guard
from otel_genai.patching.driver import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_genai.endpoint.rows import Row
    from otel_genai.telemetry.telemetry import Telemetry


class Patches:
    """The rows of one provider, applied or not."""

    def __init__(self, rows: Iterable[Row], telemetry: Callable[[], Telemetry]) -> None:
        """`telemetry` is called once, when the first of the rows' modules is imported."""
        self._rows = tuple(rows)
        self._scope = Scope(telemetry)
        self._active = False
        # (class or module, attribute, our wrapper, the original; `None` if the class inherits it)
        self._applied: list[tuple[Any, str, Any, Any]] = []

    def apply(self) -> None:
        """Wrap the targets in imported modules now, and the others when their modules are imported. Nothing is imported."""
        self._active = True
        for row in self._rows:
            guard = Guard(
                f"{row.target} of {row.module} is not instrumented: this version of the library may have moved it"
            )

            def wrap_in(module: Any, row: Row = row, guard: Guard = guard) -> None:
                # wrapt keeps a hook forever, and an error in it would break the application's import.
                with guard:
                    if self._active:
                        self._wrap(module, row)

            wrapt.register_post_import_hook(wrap_in, row.module)
            # A module that runs as a program has the name `__main__`, and may be running already.
            main = sys.modules.get("__main__")
            is_main = getattr(getattr(main, "__spec__", None), "name", None) == row.module
            if is_main and hasattr(main, row.target.partition(".")[0]):
                wrap_in(main)

    def revert(self) -> None:
        """Restore the originals. A wrapper that other code has wrapped since stays in place and does nothing."""
        self._active = False
        if self._applied:
            self._scope.telemetry.close()
        # Newest first: two rows may wrap one target, the second around the first.
        for owner, attribute, wrapper, original in reversed(self._applied):
            if vars(owner).get(attribute) is not wrapper:
                continue
            if original is None:
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, original)
        self._applied.clear()

    def _wrap(self, module: Any, row: Row) -> None:
        try:
            owner, attribute, found = wrapt.resolve_path(module, row.target)
        except AttributeError:
            if row.optional:
                return
            raise
        if isinstance(found, type):
            # A class stays a class: its constructor is wrapped.
            owner, attribute, found = found, "__init__", found.__init__  # type: ignore[misc]
        drive = resolve(row.driver)(row, found, self._scope)
        wrapper = drive if getattr(row, "replaces_target", False) else _Wrapper(found, drive)
        self._applied.append((owner, attribute, wrapper, vars(owner).get(attribute)))
        wrapt.apply_patch(owner, attribute, wrapper)


class _BoundWrapper(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]  # generic in wrapt's stubs only
    """A wrapped method. It is pickled by its instance and name, as any method."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return getattr, (self._self_instance, self.__wrapped__.__name__)


class _Wrapper(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A wrapped function. It is pickled by its name and copied by reference, as any function."""

    __bound_function_wrapper__ = _BoundWrapper

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        return str(self.__qualname__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self
