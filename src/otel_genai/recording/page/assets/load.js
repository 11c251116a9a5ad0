// @ts-check
// Concurrency and throughput over time.

import { axis, countsAxis, draw, ink, layout, TIME_MARGIN } from "./drawing.js";
import { named } from "./elements.js";
import { numbered, seconds } from "./format.js";
import { sinceStart } from "./hover.js";
import { firstArrival } from "./recording.js";

/** @typedef {import("./recording.js").Operation} Operation */
/** @typedef {import("./recording.js").Recording} Recording */

const BINS = 240;

/**
 * @param {Recording} recording
 * @param {Operation[]} operations
 * @param {import("./drawing.js").TimeZoom} zoom
 */
export function drawInFlight(recording, operations, zoom) {
  const waiting = steps(
    operations
      .filter((operation) => operation.stream)
      .map((operation) => [operation.start, firstArrival(recording, operation) ?? operation.end]),
  );
  const all = steps(operations.map((operation) => [operation.start, operation.end]));
  /** @type {(line: { x: number[], y: number[] }, name: string, colour: string) => Partial<Plotly.PlotData>} */
  const area = ({ x, y }, name, colour) => ({
    type: "scatter", mode: "lines", x, y, name, line: { color: ink(colour), width: 1.4, shape: "hv" }, fill: "tozeroy",
    fillcolor: `${ink(colour)}22`, hovertemplate: `%{y} ${name}<extra></extra>`,
  });
  const traces = [area(all, "in flight", "accent"), area(waiting, "waiting for the first token", "wait")];
  draw("in-flight", traces, layout({
    xaxis: zoom.axis(), yaxis: countsAxis(all.most), showlegend: true, hovermode: "x unified",
    margin: TIME_MARGIN,
  }));
}

/**
 * How many of the intervals cover each moment, as a line of steps.
 * @param {[number, number][]} intervals
 */
function steps(intervals) {
  const starts = Float64Array.from(intervals, ([start]) => start).sort();
  const ends = Float64Array.from(intervals, ([, end]) => end).sort();
  /** @type {number[]} */
  const x = [];
  /** @type {number[]} */
  const y = [];
  let most = 0;
  for (let started = 0, ended = 0; ended < ends.length; ) {
    const opens = started < starts.length && starts[started] <= ends[ended];
    x.push(opens ? starts[started++] : ends[ended++]);
    y.push(started - ended);
    most = Math.max(most, started - ended);
  }
  return { x, y, most };
}

/**
 * @param {Recording} recording
 * @param {Operation[]} operations
 * @param {import("./drawing.js").TimeZoom} zoom
 */
export function drawThroughput(recording, operations, zoom) {
  const streams = operations.filter((operation) => operation.chunks > 0);
  const counted = streams.length > 0 && streams.every((operation) => operation.counted);
  const [from, to] = zoom.range;
  const width = (to - from) / BINS;
  const sums = new Float64Array(BINS);
  for (const operation of streams) {
    for (let chunk = 0; chunk < operation.chunks; chunk++) {
      const place = operation.firstChunk + chunk;
      const bin = Math.floor((recording.at[place] - from) / width);
      if (bin >= 0 && bin < BINS) sums[bin] += counted ? recording.tokens[place] : 1;
    }
  }
  const thing = counted ? "tokens" : "chunks";
  draw("throughput", [{
    type: "scatter", mode: "lines", x: Float64Array.from(sums, (_, bin) => from + bin * width),
    y: sums.map((sum) => sum / width), line: { color: ink("receive"), width: 1.4, shape: "hv" }, fill: "tozeroy",
    fillcolor: `${ink("receive")}22`, hovertemplate: `%{y:,.0f} ${thing}/s<extra></extra>`,
  }], layout({
    xaxis: zoom.axis({ title: sinceStart(recording) }),
    yaxis: axis({ rangemode: "tozero", tickformat: "~s" }), hovermode: "x unified", margin: { ...TIME_MARGIN, b: 42 },
  }));
  named("throughput-title").textContent = counted ? "Output tokens per second" : "Chunks per second";
  const left = operations.length - streams.length;
  named("throughput-meaning").textContent = [
    `Arrivals, in steps of ${seconds(width)}.`,
    counted || !streams.length ? "" : "Chunks are counted, because not all of these streams report the tokens of each chunk.",
    left ? `${numbered(left, "operation")} without a stream ${left === 1 ? "is" : "are"} not included.` : "",
  ].filter(Boolean).join(" ");
}
