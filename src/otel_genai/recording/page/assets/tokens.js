// @ts-check
// Tokens of whole operations: input against output, and input against the time to first token.

import { axis, DOTS, draw, layout, PALETTE, timesAxis, titled } from "./drawing.js";
import { plain, short } from "./format.js";
import { NAME_BY_KIND, namesOf } from "./recording.js";

/** @typedef {import("./recording.js").Operation} Operation */

/**
 * Draws both charts; returns for each the operation for each point of each trace.
 * @param {import("./recording.js").Recording} recording
 * @param {Operation[]} operations
 */
export function drawTokens(recording, operations) {
  const names = namesOf(recording, "model");
  /** @type {(id: string, height: (operation: Operation) => number | undefined, yaxis: Partial<Plotly.LayoutAxis>) => Operation[][]} */
  const cloud = (id, height, yaxis) => {
    /** @type {Operation[][]} */
    const points = [];
    const traces = namesOf(recording, "model", operations).map((name) => {
      const known = operations.filter(
        (operation) =>
          NAME_BY_KIND.model(operation, recording) === name && operation.usage.input !== undefined && height(operation) !== undefined,
      );
      points.push(known);
      return /** @type {Partial<Plotly.PlotData>} */ ({
        type: DOTS, mode: "markers", hoverinfo: "none", name: plain(short(name)), x: known.map(({ usage }) => usage.input),
        y: known.map(height), marker: { color: PALETTE[names.indexOf(name) % PALETTE.length], size: 5, opacity: 0.65 },
      });
    });
    draw(id, traces, layout({
      xaxis: axis({ title: titled("input tokens"), rangemode: "tozero", tickformat: "~s" }), yaxis, showlegend: traces.length > 1,
    }));
    return points;
  };
  return {
    "tokens-in-out": cloud("tokens-in-out", ({ usage }) => usage.output,
      axis({ title: titled("output tokens"), rangemode: "tozero", tickformat: "~s" })),
    "tokens-first": cloud("tokens-first", ({ first_token: first }) => first, timesAxis("time to first token", { rangemode: "tozero" })),
  };
}
