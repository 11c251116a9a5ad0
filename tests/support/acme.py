"""An installed package with entry points for OpenTelemetry: a distribution, a configurator and two instrumentors."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def install_acme(at: Path) -> Path:
    """Install the package in a subfolder of `at`, and return it, for PYTHONPATH."""
    place = at / "plugins"
    info = place / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\nProvides-Extra: instruments\n"
        "Requires-Dist: nosuch>=3; extra == 'instruments-of-others'\n"
    )
    (info / "RECORD").touch()
    (info / "entry_points.txt").write_text(
        dedent("""\
            [opentelemetry_distro]
            acme = acme:Distro
            [opentelemetry_configurator]
            acme = acme:Configurator
            [opentelemetry_instrumentor]
            acme_http = acme:Instrumentor
            acme_broken = acme:Broken
            """)
    )
    (place / "acme.py").write_text(
        dedent("""\
            import os
            from opentelemetry.instrumentation.distro import BaseDistro
            from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
            from opentelemetry.sdk._configuration import _OTelSDKConfigurator
            class Distro(BaseDistro):
                def _configure(self, **kwargs):
                    print("distro")
                    os.environ.setdefault("OTEL_TRACES_EXPORTER", "otlp")
                    os.environ.setdefault("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
                def load_instrumentor(self, entry_point, **kwargs):
                    print("loads", entry_point.name)
                    super().load_instrumentor(entry_point, **kwargs)
            class Configurator(_OTelSDKConfigurator):
                def _configure(self, **kwargs):
                    print("configurator", os.environ["OTEL_SERVICE_NAME"])
                    super()._configure(resource_attributes={"by": "acme"}, **kwargs)
            class Instrumentor(BaseInstrumentor):
                def instrumentation_dependencies(self):
                    return ["wrapt >= 1"]
                def _instrument(self, **kwargs):
                    print("instruments")
                def _uninstrument(self, **kwargs):
                    pass
            class Broken(BaseInstrumentor):
                def instrumentation_dependencies(self):
                    return []
                def _instrument(self, **kwargs):
                    raise ValueError("broken")
                def _uninstrument(self, **kwargs):
                    pass
            """)
    )
    return place
