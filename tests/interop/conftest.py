"""Where the programs come from: an environment of their own, without which there is nothing here to run them with."""

from __future__ import annotations

from importlib.util import find_spec

# The browser's tests skip by themselves; these would fail.
collect_ignore = [] if find_spec("guidellm") else ["test_programs.py", "test_servers.py"]
