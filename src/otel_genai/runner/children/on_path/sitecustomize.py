"""Python imports this module at start-up, because a run puts its folder first on PYTHONPATH for its children.

It waits for the import of the first GenAI library, and costs other processes next to nothing. It never raises and prints nothing:
the process may be of any environment, with or without this package.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow to import
RUN = os.environ.get("OTEL_GENAI_RUN")


class ImportHook:
    """A finder that finds nothing and only watches imports, as `otel_genai.instrumentors.import_hook` does in the run."""

    def __init__(self, names: frozenset[str]) -> None:
        """`names` are top-level modules."""
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Instrument this process before the first of these modules is imported."""
        if name not in self.names or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        instrument()
        if name in sys.modules:
            from otel_genai.instrumentors.import_hook import find_spec_again

            return find_spec_again(name)
        from importlib.util import find_spec

        return find_spec(name)


def instrument() -> None:
    """Instrument this process, if its environment has this package."""
    try:
        from otel_genai.runner.children.child import begin
    except Exception:  # noqa: BLE001, S110 - an environment without this package, or with half of its dependencies
        pass
    else:
        begin()


def chain() -> None:
    """Run the `sitecustomize` that this one hides. Python reports its errors as usual."""
    # `PathFinder` is there already: importing it by name takes longer than all the rest.
    finders = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") == "PathFinder"]
    spec = finders[0].find_spec("sitecustomize", sys.path) if finders else None
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        sys.modules["sitecustomize"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)


# The program expects the search path that it would have without a run.
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != HERE]  # noqa: PTH100
if RUN:
    modules = frozenset(RUN.partition(" ")[0].split(","))
    if modules.isdisjoint(sys.modules):
        sys.meta_path.insert(0, ImportHook(modules))
    else:
        instrument()
chain()
