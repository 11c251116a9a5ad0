// @ts-check
// The attributes of the dot or bar under the pointer.

import { titled } from "./drawing.js";
import { element, named } from "./elements.js";
import { seconds, short, whole } from "./format.js";
import { processName } from "./recording.js";

/** @typedef {import("./recording.js").Operation} Operation */
/** @typedef {import("./recording.js").Recording} Recording */

const MARGIN = 14;

/**
 * Shows the lines for a point of the chart: pairs of a name and a text.
 * @param {string} id
 * @param {(point: Plotly.PlotDatum) => [string, string][]} lines
 */
export function showOnHover(id, lines) {
  const chart = /** @type {import("./drawing.js").Chart} */ (named(id));
  const tip = named("tip");
  chart.on("plotly_hover", ({ points, event }) => {
    const list = document.createElement("dl");
    for (const [name, text] of lines(points[0])) list.append(element("dt", name), element("dd", text));
    tip.replaceChildren(list);
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const right = event.clientX + MARGIN + width < innerWidth;
    tip.style.left = `${Math.max(4, right ? event.clientX + MARGIN : event.clientX - MARGIN - width)}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + MARGIN, innerHeight - height - 4))}px`;
  });
  chart.on("plotly_unhover", () => {
    tip.hidden = true;
  });
}

/**
 * Wall clock of a time since the recording's start, to the millisecond.
 * @param {Recording} recording
 * @param {number} time
 */
export function clock(recording, time) {
  return new Date(recording.beganMs + time * 1e3).toISOString().slice(11, 23);
}

/**
 * The title of an axis of time.
 * @param {Recording} recording
 */
export function sinceStart(recording) {
  return { ...titled(`time since ${clock(recording, 0)} UTC`), standoff: 4 };
}

/** @param {Operation} operation */
export function errorText({ error }) {
  return error ? [error.type, error.summary, error.message].filter(Boolean).join(": ") : "";
}

/**
 * An operation's attributes.
 * @param {Recording} recording
 * @param {Operation} operation
 * @returns {[string, string][]}
 */
export function operationLines(recording, operation) {
  /** @type {[string, string | undefined][]} */
  const lines = [
    ["operation", `${operation.operation} ${operation.model ?? ""}`],
    ["provider", operation.provider],
    ["began", `${clock(recording, operation.start)} UTC`],
    ["duration", seconds(operation.duration)],
    ["first token", seconds(operation.first_token)],
    ["per output token", seconds(operation.per_output_token || undefined)],
    ["tokens", Object.entries(operation.usage).map(([name, count]) => `${name} ${countText(count)}`).join(", ")],
    ["chunks", operation.chunks ? whole(operation.chunks) : ""],
    ["phases", Object.entries(operation.phases ?? {}).map(([name, lasted]) => `${name} ${seconds(lasted)}`).join(", ")],
    ["error", errorText(operation)],
    ["ended", operation.unfinished ? "not before its process" : ""],
    ["process", processName(recording.processes[operation.process])],
    ["trace", operation.trace],
    ["span", operation.span],
    ["parent", operation.parent],
    ...Object.entries(operation.request ?? {}),
    ...Object.entries(operation.response ?? {}),
  ];
  return lines.flatMap(([name, text]) => (text && text !== "–" ? [[name.replaceAll("_", " "), short(text, 160)]] : []));
}

/** @param {number | Record<string, number>} count one number, or numbers by modality */
function countText(count) {
  return typeof count === "number" ? whole(count) : Object.entries(count).map(([name, part]) => `${name} ${whole(part)}`).join(" + ");
}

/**
 * A chunk's own times, then its operation's attributes.
 * @param {Recording} recording
 * @param {number} place of the chunk
 * @returns {[string, string][]}
 */
export function chunkLines(recording, place) {
  const operation = recording.operations[recording.owner[place]];
  const number = place - operation.firstChunk;
  const away = recording.gap[place] - recording.wait[place];
  /** @type {[string, string][]} */
  const lines = [
    ["chunk", `${whole(number + 1)} of ${whole(operation.chunks)}`],
    ["arrived", `${clock(recording, recording.at[place])} UTC`],
    [number ? "after the chunk before" : "after the start", seconds(recording.gap[place])],
  ];
  if (number && away > 0) lines.push(["consumer’s share", seconds(away)]);
  if (operation.counted) lines.push(["its tokens", whole(recording.tokens[place])]);
  return [...lines, ...operationLines(recording, operation)];
}
