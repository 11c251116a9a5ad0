// @ts-check
// Reads the recording, and redraws the charts when the selection changes.

import { drawDistributions } from "./distributions.js";
import { drawDots } from "./dots.js";
import { TimeZoom } from "./drawing.js";
import { element, menu, named } from "./elements.js";
import { drawErrors } from "./errors.js";
import { numbered, whole } from "./format.js";
import { chunkLines, operationLines, showOnHover } from "./hover.js";
import { drawInFlight, drawThroughput } from "./load.js";
import { generatingSince, namesOf, readRecording, selectOperations } from "./recording.js";
import { drawTimeline } from "./timeline.js";
import { drawTokens } from "./tokens.js";

/** @typedef {import("./recording.js").Operation} Operation */

/** @type {import("./recording.js").Kind[]} */
const SELECTED_KINDS = ["model", "operation", "process"];
const DOTS_MENUS = ["colour", "height", "scale"];
const CHARTS_OVER_TIME = ["dots", "in-flight", "throughput", "timeline"];

async function main() {
  const recording = await readRecording(named("recording").textContent ?? "");
  const end = recording.operations.reduce((latest, operation) => Math.max(latest, operation.end), 0);
  let operations = recording.operations;
  // What each point of each chart stands for.
  /** @type {number[][]} */
  let dots = [];
  /** @type {Record<string, Operation[][]>} */
  const points = {};

  const drawZoomed = () => {
    drawThroughput(recording, operations, zoom);
    points.timeline = drawTimeline(recording, operations, zoom);
  };
  const zoom = new TimeZoom(CHARTS_OVER_TIME, end, generatingSince(recording, end), drawZoomed);
  const drawChosenDots = () => {
    const choices = Object.fromEntries(DOTS_MENUS.map((choice) => [choice, menu(`dots-${choice}`).value]));
    dots = drawDots(recording, operations, zoom, /** @type {import("./dots.js").Choices} */ (choices));
  };
  const drawAll = () => {
    drawChosenDots();
    drawInFlight(recording, operations, zoom);
    drawZoomed();
    drawDistributions(recording, operations);
    Object.assign(points, drawTokens(recording, operations));
    drawErrors(recording, operations);
    const all = recording.operations.length;
    named("selected").textContent =
      operations.length === all ? numbered(all, "operation") : `${whole(operations.length)} of ${numbered(all, "operation")}`;
  };

  // An operation may be named like the menu's first entry, so that entries are known by their places.
  const entries = SELECTED_KINDS.map((kind) => /** @type {const} */ ([kind, [undefined, ...namesOf(recording, kind)]]));
  const select = () => {
    operations = selectOperations(recording, entries.map(([kind, names]) => [kind, names[menu(`select-${kind}`).selectedIndex]]));
    drawAll();
  };
  for (const [kind, names] of entries) {
    menu(`select-${kind}`).append(...names.map((name) => element("option", name ?? "all")));
    menu(`select-${kind}`).addEventListener("change", select);
  }
  for (const choice of DOTS_MENUS) menu(`dots-${choice}`).addEventListener("change", drawChosenDots);
  named("reset-zoom").addEventListener("click", () => zoom.to(zoom.whole));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  drawAll();
  zoom.listen();
  showOnHover("dots", ({ curveNumber, pointNumber }) => chunkLines(recording, dots[curveNumber][pointNumber]));
  for (const id of ["timeline", "tokens-in-out", "tokens-first"]) {
    showOnHover(id, ({ curveNumber, pointNumber }) => operationLines(recording, points[id][curveNumber][pointNumber]));
  }
  document.body.dataset.ready = "true";
}

main().catch((error) => {
  const trouble = named("trouble");
  trouble.textContent = `The charts could not be drawn: ${error.message}`;
  trouble.hidden = false;
  throw error;
});
