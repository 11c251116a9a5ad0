"""The programs are installed in an environment of their own; in any other, their tests are not collected."""

from __future__ import annotations

from importlib.util import find_spec

# The tests of the page skip themselves if there is no browser.
collect_ignore = [] if find_spec("guidellm") else ["test_programs.py", "test_servers.py"]
