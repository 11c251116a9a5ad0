"""The conventions as data: names, values, units and buckets. No logic, and no imports from the rest of the package.

Span and event attributes follow open-telemetry/semantic-conventions-genai at commit 06ec68e (2026-10-07).
Metrics come in vintages, because dashboards and backends still speak v1.41: see `metrics`.
"""
