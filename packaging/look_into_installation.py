"""Looks into an installed otel-genai for what a build can lose: files that are no modules, entry points, metadata."""

from importlib.metadata import distribution
from pathlib import Path

import otel_genai

FILES = (
    "py.typed",
    "runner/children/on_path/sitecustomize.py",
    "recording/page/assets/page.html",
    "recording/page/assets/page.css",
    "recording/page/assets/main.js",
)
ENTRY_POINTS = {
    ("console_scripts", "otel-genai"),
    ("opentelemetry_instrumentor", "otel_genai_functions"),
    ("opentelemetry_instrumentor", "otel_genai_openai"),
    ("opentelemetry_instrumentor", "otel_genai_transformers"),
    ("opentelemetry_instrumentor", "otel_genai_vllm"),
    ("otel_genai_recorders", "otel_genai"),
    ("vllm.general_plugins", "otel_genai"),
}

package = Path(otel_genai.__file__).parent
assert "site-packages" in package.parts, f"this is no installation: {package}"
missing = [name for name in FILES if not (package / name).is_file()]
assert not missing, f"not installed: {missing}"

installed = distribution("otel-genai")
found = {(point.group, point.name) for point in installed.entry_points}
assert found >= ENTRY_POINTS, f"entry points are missing: {ENTRY_POINTS - found}"
for point in installed.entry_points:
    point.load()
assert installed.version == otel_genai.__version__, (installed.version, otel_genai.__version__)
assert installed.metadata["License-Expression"] == "Apache-2.0"
print(f"otel-genai {installed.version}: {len(FILES)} files and {len(found)} entry points are there")
