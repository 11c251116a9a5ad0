"""The telemetry of an instrumentation for one call of each kind, as JSON: a comparison of costs needs it."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from instrumentations import INSTRUMENTATIONS, switched_on
from peer_setups import PEERS
from workloads import WORKLOADS

if TYPE_CHECKING:
    from instrumentations import Kept


def emitted(kept: Kept) -> dict[str, Any]:
    """Spans with their number of attributes, events, and data points by metric."""
    kept.flush()
    data = kept.metrics.get_metrics_data()
    metrics = {
        metric.name: len(metric.data.data_points)
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    spans = [f"{span.name} ({len(span.attributes or {})})" for span in kept.spans.get_finished_spans()]
    events = [str(log.log_record.event_name or log.log_record.body) for log in kept.logs.get_finished_logs()]
    return {"spans": spans, "events": events, "metrics": metrics}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("instrumentation", choices=INSTRUMENTATIONS | PEERS)
    chosen = parser.parse_args()
    kept = switched_on((INSTRUMENTATIONS | PEERS)[chosen.instrumentation])
    WORKLOADS[chosen.workload].do(1)
    print(json.dumps(emitted(kept)))


if __name__ == "__main__":
    main()
