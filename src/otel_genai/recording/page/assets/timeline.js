// @ts-check
// Operations as bars over time, those of one trace together, with their known phases.

import { axis, draw, ink, layout, TIME_MARGIN } from "./drawing.js";
import { named } from "./elements.js";
import { plain, short, whole } from "./format.js";
import { firstArrival } from "./recording.js";

/** @typedef {import("./recording.js").Operation} Operation */
/** @typedef {import("./recording.js").Recording} Recording */

const MOST_BARS = 2000;
const FEW_BARS = 40;

/**
 * Draws the operations within the zoom; returns the operation for each point of each trace.
 * @param {Recording} recording
 * @param {Operation[]} operations
 * @param {import("./drawing.js").TimeZoom} zoom
 */
export function drawTimeline(recording, operations, zoom) {
  const [from, to] = zoom.range;
  const touched = byTrace(operations.filter((operation) => operation.start <= to && operation.end >= from));
  const every = Math.ceil(touched.length / MOST_BARS);
  const lanes = touched.filter((_, lane) => lane % every === 0);
  /** @type {Map<string, { lanes: number[], starts: number[], lengths: number[], operations: Operation[] }>} */
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
  const height = Math.min(Math.max(lanes.length * 16, 120), 560);
  named("timeline").style.height = `${height + 60}px`;
  const thickness = height / Math.max(lanes.length, 1);

  /** @type {Partial<Plotly.PlotData>[]} */
  const traces = [];
  /** @type {Operation[][]} */
  const points = [];
  for (const [phase, colour] of Object.entries(PHASE_COLOURS)) {
    const bar = bars.get(phase);
    if (!bar) continue;
    points.push(bar.operations);
    traces.push(/** @type {Partial<Plotly.PlotData>} */ ({
      type: "bar", orientation: "h", name: phase, y: bar.lanes, base: bar.starts, x: bar.lengths, width: thickness > 4 ? 0.75 : 1,
      marker: { color: ink(colour), line: { width: 0 } }, hoverinfo: "none",
    }));
  }
  /** @type {(name: string, moment: (operation: Operation) => number | undefined, marker: Partial<Plotly.PlotMarker>) => void} */
  const mark = (name, moment, marker) => {
    const found = lanes.map((operation, lane) => ({ operation, lane, time: moment(operation) })).filter(({ time }) => time !== undefined);
    if (!found.length) return;
    points.push(found.map(({ operation }) => operation));
    traces.push(/** @type {Partial<Plotly.PlotData>} */ ({
      type: "scatter", mode: "markers", name, x: found.map(({ time }) => time), y: found.map(({ lane }) => lane), marker,
      hoverinfo: "none",
    }));
  };
  const size = Math.min(Math.max(thickness * 0.75, 4), 12);
  // On thin bars the change of colour shows the same.
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
    points.push(lanes);
    traces.push(barNames(lanes, from, to));
  }
  draw("timeline", traces, layout({
    barmode: "overlay", bargap: 0, showlegend: true, margin: TIME_MARGIN,
    xaxis: zoom.axis(),
    yaxis: axis({
      range: [lanes.length - 0.4, -0.6], fixedrange: few, showgrid: false, showticklabels: false, automargin: false,
    }),
  }));
  named("timeline-remark").textContent =
    every > 1 ? `${whole(lanes.length)} of ${whole(touched.length)} operations are drawn. Zoom in for the others.` : "";
  return points;
}

/**
 * Operation and model within a long bar, or else beside the bar, on the side with more space.
 * @param {Operation[]} lanes
 * @param {number} from
 * @param {number} to
 * @returns {Partial<Plotly.PlotData>}
 */
function barNames(lanes, from, to) {
  // Plotly takes a position for each text (attribute reference, scatter.textposition: arrayOk); the types know only one for all.
  const placed = lanes.map(({ start, end }) => {
    if (end - start > (to - from) / 2) return { x: Math.max(start, from), position: "middle right", color: ink("paper") };
    if (start - from > to - end) return { x: start, position: "middle left", color: ink("soft") };
    return { x: end, position: "middle right", color: ink("soft") };
  });
  return /** @type {Partial<Plotly.PlotData>} */ (/** @type {unknown} */ ({
    type: "scatter", mode: "text", x: placed.map(({ x }) => x), y: lanes.map((_, lane) => lane),
    text: lanes.map(({ operation, model }) => `    ${plain(short(`${operation} ${model ?? ""}`))}    `),
    textposition: placed.map(({ position }) => position), textfont: { size: 11, color: placed.map(({ color }) => color) },
    hoverinfo: "skip", showlegend: false,
  }));
}

const PHASE_COLOURS = {
  queue: "wait",
  prefill: "prefill",
  decode: "receive",
  "waiting for the first token": "wait",
  receiving: "receive",
  "not streamed": "whole",
};
const ENGINE_PHASES = ["queue", "prefill", "decode"];

/**
 * (phase, start, end) of an operation's bar: the engine's own phases, or else the wait for the first token and the rest.
 * @param {Recording} recording
 * @param {Operation} operation
 * @returns {[string, number, number][]}
 */
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

/**
 * In the order of the starts of their traces, and within a trace of their own starts.
 * @param {Operation[]} operations
 */
function byTrace(operations) {
  /** @type {Map<string | number, number>} */
  const began = new Map();
  for (const { trace, index, start } of operations) {
    const key = trace ?? index;
    began.set(key, Math.min(began.get(key) ?? Infinity, start));
  }
  /** @type {(operation: Operation) => number} */
  const traceBegan = ({ trace, index }) => began.get(trace ?? index) ?? 0;
  return [...operations].sort(
    (one, other) =>
      traceBegan(one) - traceBegan(other) ||
      String(one.trace).localeCompare(String(other.trace)) ||
      one.start - other.start,
  );
}
