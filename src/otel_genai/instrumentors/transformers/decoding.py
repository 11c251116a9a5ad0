"""The tokenizer of a model, where a call of the model does not bring one.

transformers links a model to a tokenizer in two ways only: both were loaded by one name, or one pipeline has both.
"""

from __future__ import annotations

from typing import Any, Final
from weakref import ReferenceType, WeakKeyDictionary, WeakValueDictionary, ref

_by_name: Final[WeakValueDictionary[str, Any]] = WeakValueDictionary()
_by_model: Final[WeakKeyDictionary[Any, ReferenceType[Any]]] = WeakKeyDictionary()


def remember_tokenizer(tokenizer: Any) -> None:
    """Keep a weak reference to a tokenizer under the name that it was loaded by."""
    name = getattr(tokenizer, "name_or_path", None)
    if name:
        _by_name[str(name)] = tokenizer


def remember_pair(model: Any, tokenizer: Any) -> None:
    """Keep weak references to a model and its tokenizer; `None` is no tokenizer."""
    if tokenizer is not None:
        _by_model[model] = ref(tokenizer)


def tokenizer_of(model: Any) -> Any | None:
    """The tokenizer of a model, if one is known."""
    paired = _by_model.get(model)
    tokenizer = None if paired is None else paired()
    return _by_name.get(str(getattr(model.config, "_name_or_path", None))) if tokenizer is None else tokenizer
