"""Python imports this when it starts, because a run has put this folder first on PYTHONPATH for the processes that it starts.

It waits for the first library that is to be instrumented, and costs a process that imports none next to nothing. It never
raises and prints nothing: the process may be of any environment, with or without this package.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow to import
RUN = os.environ.get("OTEL_GENAI_RUN")


class FirstLibrary:
    """A finder that finds nothing itself: it only sees what is looked for, as the run's own does (`instrumentors.arrival`)."""

    def __init__(self, names: frozenset[str]) -> None:
        """Wait for any of these top-level modules."""
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Begin before the first of them is imported."""
        if name not in self.names or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        begin()
        if name in sys.modules:
            from otel_genai.instrumentors.import_hook import find_spec_again

            return find_spec_again(name)
        from importlib.util import find_spec

        return find_spec(name)


def begin() -> None:
    """Instrument this process, if it can be."""
    try:
        from otel_genai.runner.children.child import begin
    except Exception:  # noqa: BLE001, S110 - an environment without this package, or with half of what it needs
        pass
    else:
        begin()


def chain() -> None:
    """Run the `sitecustomize` that this one hides. What it raises, Python reports as ever."""
    # The finder that is there already: importing it by its name takes longer than all the rest.
    finders = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") == "PathFinder"]
    spec = finders[0].find_spec("sitecustomize", sys.path) if finders else None
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        sys.modules["sitecustomize"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)


# Nobody else has a use for this folder, and the script expects its search path as it would be without us.
sys.path[:] = [place for place in sys.path if os.path.abspath(place) != HERE]  # noqa: PTH100
if RUN:
    waited_for = frozenset(RUN.partition(" ")[0].split(","))
    if waited_for.isdisjoint(sys.modules):
        sys.meta_path.insert(0, FirstLibrary(waited_for))
    else:
        begin()
chain()
