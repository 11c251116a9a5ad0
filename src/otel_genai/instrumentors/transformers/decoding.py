"""Which tokenizer decodes what a model generates, where the call itself does not say.

Nothing links a model to a tokenizer but that both were loaded by the same name, or that a pipeline has both.
"""

from __future__ import annotations

from typing import Any, Final
from weakref import ReferenceType, WeakKeyDictionary, WeakValueDictionary, ref

_by_name: Final[WeakValueDictionary[str, Any]] = WeakValueDictionary()
_by_model: Final[WeakKeyDictionary[Any, ReferenceType[Any]]] = WeakKeyDictionary()


def loaded(tokenizer: Any) -> None:
    """Remember a tokenizer by the name that it was loaded by, for as long as the application keeps it."""
    name = getattr(tokenizer, "name_or_path", None)
    if name:
        _by_name[str(name)] = tokenizer


def paired(model: Any, tokenizer: Any) -> None:
    """Remember that a tokenizer is a model's, for as long as the application keeps both."""
    if tokenizer is not None:
        _by_model[model] = ref(tokenizer)


def tokenizer_of(model: Any) -> Any | None:
    """The tokenizer of a model, if one is known."""
    paired = _by_model.get(model)
    tokenizer = None if paired is None else paired()
    return _by_name.get(str(getattr(model.config, "_name_or_path", None))) if tokenizer is None else tokenizer
