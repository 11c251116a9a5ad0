// @ts-check
// Histograms of times, with their percentiles.

import { countsAxis, draw, FLOOR, ink, layout, logTimesAxis } from "./drawing.js";
import { element, named } from "./elements.js";
import { percentile, seconds, whole } from "./format.js";
import { valuesAfterFirstChunk } from "./recording.js";

/** @typedef {import("./recording.js").Operation} Operation */
/** @typedef {import("./recording.js").Recording} Recording */

/**
 * @typedef {object} Measure
 * @property {string} title
 * @property {string} meaning
 * @property {(recording: Recording, operations: Operation[]) => ArrayLike<number>} values in seconds
 */

const PERCENTS = [50, 90, 95, 99];
const STEPS = 80;

/** @type {(Measure & { id: string, colour: string, substitute?: Measure })[]} */
const MEASURES = [
  {
    id: "duration", title: "Duration",
    meaning: "From the start of a call until the response was received or given up; failed calls included.",
    colour: "whole", values: (_, operations) => operations.map((operation) => operation.duration),
  },
  {
    id: "first-token", title: "Time to first token",
    meaning: "From the start of a streamed call to the first chunk with generated output.",
    colour: "wait", values: (_, operations) => known(operations, "first_token"),
    substitute: {
      title: "Time to first chunk",
      meaning: "From the start of a streamed call to its first chunk: these streams do not report which chunk carried the first token.",
      values: (recording, operations) =>
        operations.filter((operation) => operation.chunks).map((operation) => recording.gap[operation.firstChunk]),
    },
  },
  {
    id: "inter-chunk", title: "Inter-chunk latency", meaning: "Gaps between the chunks of a stream, from the first chunk to the last.",
    colour: "accent", values: (recording, operations) => valuesAfterFirstChunk(operations, recording.gap),
  },
  {
    id: "per-output-token", title: "Time per output token",
    meaning: "(last token − first token) / (output tokens − 1), for each stream that reports both.",
    colour: "receive", values: (_, operations) => known(operations, "per_output_token"),
  },
];

/**
 * @param {Operation[]} operations
 * @param {"first_token" | "per_output_token"} field
 */
function known(operations, field) {
  return operations.map((operation) => operation[field]).filter((value) => value !== undefined);
}

/**
 * @param {Recording} recording
 * @param {Operation[]} operations
 */
export function drawDistributions(recording, operations) {
  const grid = named("distributions");
  // All panels stand before the first chart is drawn, because a chart takes the width that it finds.
  if (!grid.children.length) grid.append(...MEASURES.map(({ id }) => newPanel(id)));
  for (const measure of MEASURES) {
    /** @type {Measure} */
    let shown = measure;
    let values = shown.values(recording, operations);
    if (!values.length && measure.substitute) {
      shown = measure.substitute;
      values = shown.values(recording, operations);
    }
    const ordered = Float64Array.from(values).sort();
    const marks = ordered.length ? PERCENTS.map((percent) => ({ name: `p${percent}`, value: percentile(ordered, percent / 100) })) : [];
    named(`title-${measure.id}`).textContent = shown.title;
    named(`meaning-${measure.id}`).textContent = shown.meaning;
    named(`percentiles-${measure.id}`).replaceChildren(
      ...marks.map(({ name, value }) => definition(name, seconds(value))),
      definition("of", whole(ordered.length)),
    );
    drawDistribution(`distribution-${measure.id}`, ordered, marks.map(({ value }) => value), measure.colour);
  }
}

/**
 * @param {string} term
 * @param {string} text
 */
function definition(term, text) {
  const pair = document.createElement("div");
  pair.append(element("dt", term), element("dd", text));
  return pair;
}

/** @param {string} id of the measure */
function newPanel(id) {
  const panel = element("div", "", "panel");
  panel.id = `panel-${id}`;
  const title = element("h3", "");
  title.id = `title-${id}`;
  const meaning = element("p", "", "meaning");
  meaning.id = `meaning-${id}`;
  const percentiles = element("dl", "", "percentiles");
  percentiles.id = `percentiles-${id}`;
  const chart = element("div", "", "chart tiny");
  chart.id = `distribution-${id}`;
  panel.append(title, meaning, percentiles, chart);
  return panel;
}

/**
 * @param {string} id
 * @param {Float64Array} ordered
 * @param {number[]} marks the percentiles
 * @param {string} colour
 */
function drawDistribution(id, ordered, marks, colour) {
  const { x, y } = histogram(ordered);
  draw(id, [{
    type: "scatter", mode: "lines", x, y, line: { color: ink(colour), width: 1.4, shape: "hv" }, fill: "tozeroy",
    fillcolor: `${ink(colour)}33`, hovertemplate: "%{y:,d} from %{x}<extra></extra>",
  }], layout({
    xaxis: logTimesAxis("", Math.log10(x[x.length - 1] / x[0])), yaxis: countsAxis(Math.max(...y)),
    margin: { l: 48, r: 10, t: 6, b: 30 }, dragmode: false,
    shapes: marks.map((value, rank) => ({
      type: "line", yref: "paper", y0: 0, y1: 1, x0: Math.max(value, FLOOR), x1: Math.max(value, FLOOR),
      line: { color: ink("ink"), width: 1, dash: (/** @type {const} */ (["solid", "dash", "dashdot", "dot"]))[rank] },
    })),
  }));
}

/**
 * Counts of the values, in steps of equal ratio.
 * @param {Float64Array} ordered
 * @returns {{ x: number[], y: number[] }}
 */
function histogram(ordered) {
  if (!ordered.length) return { x: [], y: [0] };
  const least = Math.max(ordered[0], FLOOR) / 1.02;
  const most = Math.max(ordered[ordered.length - 1], FLOOR) * 1.02;
  const ratio = Math.log(most / least) / STEPS;
  /** @type {number[]} */
  const y = new Array(STEPS + 1).fill(0);
  for (const value of ordered) y[Math.min(Math.floor(Math.log(Math.max(value, FLOOR) / least) / ratio), STEPS - 1)]++;
  return { x: y.map((_, step) => least * Math.exp(step * ratio)), y };
}
