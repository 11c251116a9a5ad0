"""The arguments of a library call, as adapters read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Arguments(NamedTuple):
    """A call as the library received it. Adapters read it and change no object in it: no iterator is consumed."""

    instance: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def positional_or_keyword(self, position: int, name: str, default: Any = None) -> Any:
        """The argument that the caller passed at `position` (0 is the first after `self`) or as `name=`."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def by_name(self, positions: Sequence[str]) -> dict[str, Any]:
        """All arguments by name; `positions` names the positional ones in order."""
        return {**dict(zip(positions, self.args, strict=False)), **self.kwargs}
