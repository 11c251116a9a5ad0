// Operations as bars over time, those of one trace together, with the phases that are known.

const MOST_BARS = 2000;
const FEW_BARS = 40;

/** Draws the operations that the zoom touches; returns the operation for each point of each trace. */
function drawTimeline(recording, operations, zoom) {
  const [from, to] = zoom.range;
  const touched = byTrace(operations.filter((operation) => operation.start <= to && operation.end >= from));
  const every = Math.ceil(touched.length / MOST_BARS);
  const lanes = touched.filter((_, lane) => lane % every === 0);
  const bars = new Map();
  lanes.forEach((operation, lane) => {
    for (const [phase, start, end] of phasesOf(recording, operation)) {
      const bar = bars.get(phase) ?? { lanes: [], starts: [], lengths: [], operations: [] };
      bars.set(phase, bar);
      bar.lanes.push(lane);
      bar.starts.push(start);
      bar.lengths.push(end - start);
      bar.operations.push(operation);
    }
  });
  const chart = document.getElementById("timeline");
  const height = Math.min(Math.max(lanes.length * 16, 120), 560);
  chart.style.height = `${height + 60}px`;
  const thickness = height / Math.max(lanes.length, 1);

  const traces = [];
  const of = [];
  for (const [phase, { colour }] of Object.entries(PHASES)) {
    const bar = bars.get(phase);
    if (!bar) continue;
    of.push(bar.operations);
    traces.push({
      type: "bar", orientation: "h", name: phase, y: bar.lanes, base: bar.starts, x: bar.lengths, width: thickness > 4 ? 0.75 : 1,
      marker: { color: ink(colour), line: { width: 0 } }, hoverinfo: "none",
    });
  }
  const mark = (name, moment, marker) => {
    const found = lanes.map((operation, lane) => [operation, lane, moment(operation)]).filter(([, , time]) => time !== undefined);
    if (!found.length) return;
    of.push(found.map(([operation]) => operation));
    traces.push({
      type: "scatter", mode: "markers", name, x: found.map(([, , time]) => time), y: found.map(([, lane]) => lane), marker,
      hoverinfo: "none",
    });
  };
  const size = Math.min(Math.max(thickness * 0.75, 4), 12);
  // On thin bars the change of colour says as much.
  if (thickness > 4) {
    mark("first token", (operation) => (operation.first_token === undefined ? undefined : operation.start + operation.first_token),
      { symbol: "line-ns-open", size, color: ink("ink"), line: { width: 1.6 } });
  }
  mark("error", (operation) => (operation.error ? operation.end : undefined),
    { symbol: "x-thin-open", size: Math.max(size, 7), color: ink("bad"), line: { width: 2 } });
  mark("unfinished", (operation) => (operation.unfinished ? operation.end : undefined),
    { symbol: "triangle-right", size: Math.max(size, 8), color: ink("bad") });

  const few = lanes.length <= FEW_BARS;
  if (few) {
    of.push(lanes);
    traces.push(namesOfBars(lanes, from, to));
  }
  draw("timeline", traces, layout({
    barmode: "overlay", bargap: 0, showlegend: true, margin: TIME_MARGIN,
    xaxis: zoom.axis(),
    yaxis: axis({
      range: [lanes.length - 0.4, -0.6], fixedrange: few, showgrid: false, showticklabels: false, automargin: false,
    }),
  }));
  document.getElementById("timeline-remark").textContent =
    every > 1 ? `${whole(lanes.length)} of ${whole(touched.length)} operations are drawn. Zoom in for the others.` : "";
  return of;
}

/** Operation and model within a bar that is long, or else beside it, on the side that has more room. */
function namesOfBars(lanes, from, to) {
  const placed = lanes.map(({ start, end }) => {
    if (end - start > (to - from) / 2) return [Math.max(start, from), "middle right", ink("paper")];
    return start - from > to - end ? [start, "middle left", ink("soft")] : [end, "middle right", ink("soft")];
  });
  return {
    type: "scatter", mode: "text", x: placed.map(([x]) => x), y: lanes.map((_, lane) => lane),
    text: lanes.map(({ operation, model }) => `    ${plain(short(`${operation} ${model ?? ""}`))}    `),
    textposition: placed.map(([, position]) => position), textfont: { size: 11, color: placed.map(([, , colour]) => colour) },
    hoverinfo: "skip", showlegend: false,
  };
}

const PHASES = {
  queue: { colour: "wait" },
  prefill: { colour: "prefill" },
  decode: { colour: "receive" },
  "waiting for the first token": { colour: "wait" },
  receiving: { colour: "receive" },
  "not streamed": { colour: "whole" },
};
const ENGINE_PHASES = ["queue", "prefill", "decode"];

/** (phase, start, end) of an operation's bar: what the engine tells, or else what can be seen from outside. */
function phasesOf(recording, operation) {
  const known = operation.phases ?? {};
  if (ENGINE_PHASES.some((phase) => phase in known)) {
    let start = operation.start;
    return ENGINE_PHASES.filter((phase) => phase in known).map((phase) => [phase, start, (start += known[phase])]);
  }
  if (!operation.stream) return [["not streamed", operation.start, operation.end]];
  const first = firstArrival(recording, operation) ?? operation.end;
  return [["waiting for the first token", operation.start, first], ["receiving", first, operation.end]];
}

/** In the order in which their traces began, and within a trace in the order in which they began. */
function byTrace(operations) {
  const began = new Map();
  for (const { trace, index, start } of operations) {
    const key = trace ?? index;
    began.set(key, Math.min(began.get(key) ?? Infinity, start));
  }
  const traceBegan = ({ trace, index }) => began.get(trace ?? index);
  return [...operations].sort(
    (one, other) =>
      traceBegan(one) - traceBegan(other) ||
      String(one.trace).localeCompare(String(other.trace)) ||
      one.start - other.start,
  );
}
