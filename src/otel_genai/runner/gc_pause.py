"""A pause of the garbage collector while many modules are imported.

It is not in `process.py`, because it has to be there before `process.py` imports the SDK.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause collections: imports allocate much and free nothing, and collections took a sixth of the start-up."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
