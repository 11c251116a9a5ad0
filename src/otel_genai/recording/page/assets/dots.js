// @ts-check
// Every chunk as a dot: its arrival, and its gap to the chunk before.

import { DOTS, draw, FLOOR, ink, layout, logTimesAxis, MOST_DOTS, PALETTE, TIME_MARGIN, timesAxis, WEBGL } from "./drawing.js";
import { named } from "./elements.js";
import { percentile, plain, seconds, short, whole } from "./format.js";
import { sinceStart } from "./hover.js";
import { NAME_BY_KIND, namesOf, valuesAfterFirstChunk } from "./recording.js";

/** @typedef {import("./recording.js").Recording} Recording */

/**
 * @typedef {object} Choices of the menus above the chart
 * @property {"stream" | "model" | "process"} colour
 * @property {"gap" | "wait"} height
 * @property {"log" | "linear"} scale
 */

/** @typedef {{ name?: string, colour: string, first: number[], later: number[], long: number[] }} Group places of chunks */

const LONG = 5; // medians

const HEIGHT_TITLES = { gap: "gap between chunks", wait: "wait of the consumer" };

/**
 * Draws the dots of the operations; returns the chunk's place for each point of each trace.
 * @param {Recording} recording
 * @param {import("./recording.js").Operation[]} operations
 * @param {import("./drawing.js").TimeZoom} zoom
 * @param {Choices} choices
 */
export function drawDots(recording, operations, zoom, { colour, height, scale }) {
  const heights = recording[height];
  const streams = operations.filter((operation) => operation.chunks > 0);
  const count = streams.reduce((sum, operation) => sum + operation.chunks, 0);
  const shown = chosenDots(count, heights);
  const later = valuesAfterFirstChunk(streams, heights).sort();
  const marks = later.length ? [50, 99].map((percent) => ({ name: `p${percent}`, value: percentile(later, percent / 100) })) : [];
  const long = marks.length ? LONG * marks[0].value : 0;
  const names = colour === "stream" ? [] : namesOf(recording, colour, streams);
  /** @type {Map<number, Group>} */
  const groups = new Map();
  streams.forEach((operation, rank) => {
    const name = colour === "stream" ? undefined : NAME_BY_KIND[colour](operation, recording);
    const key = name === undefined ? rank % PALETTE.length : names.indexOf(name);
    const group = groups.get(key) ?? { name, colour: PALETTE[key % PALETTE.length], first: [], later: [], long: [] };
    groups.set(key, group);
    const end = operation.firstChunk + operation.chunks;
    group.first.push(operation.firstChunk);
    for (let place = operation.firstChunk + 1; place < end; place++) {
      if (shown(place)) (heights[place] > long ? group.long : group.later).push(place);
    }
  });

  /** @type {Partial<Plotly.PlotData>[]} */
  const traces = [];
  /** @type {number[][]} */
  const places = [];
  /** @type {(group: Group, chosen: number[], marker: Partial<Plotly.PlotMarker>, showlegend: boolean) => void} */
  const add = (group, chosen, marker, showlegend) => {
    places.push(chosen);
    traces.push({
      type: DOTS, mode: "markers", hoverinfo: "none", name: plain(short(group.name ?? "")), legendgroup: group.name, showlegend,
      x: Float64Array.from(chosen, (place) => recording.at[place]),
      y: Float64Array.from(chosen, (place) => Math.max(heights[place], FLOOR)),
      marker: { color: group.colour, ...marker },
    });
  };
  // Many dots are small and translucent; the few that matter are not.
  const size = count > 100_000 ? 2.5 : count > 10_000 ? 3.2 : 6;
  for (const group of groups.values()) add(group, group.later, { size, opacity: count > 10_000 ? 0.7 : 0.85 }, true);
  for (const group of groups.values()) add(group, group.long, { size: 6, opacity: 0.85 }, false);
  for (const group of groups.values()) {
    add(group, group.first, { size: 6, symbol: "diamond-open", opacity: 0.9, line: { width: 1 } }, false);
  }

  const log = scale === "log";
  draw("dots", traces, layout({
    xaxis: zoom.axis({ title: sinceStart(recording) }),
    yaxis: log
      ? logTimesAxis(HEIGHT_TITLES[height], 3, { automargin: false })
      : timesAxis(HEIGHT_TITLES[height], { rangemode: "tozero", automargin: false }),
    showlegend: colour !== "stream",
    margin: { ...TIME_MARGIN, b: 42 },
    shapes: marks.map(({ value }) => ({
      type: "line", xref: "paper", x0: 0, x1: 1, y0: Math.max(value, FLOOR), y1: Math.max(value, FLOOR), layer: "above",
      line: { color: ink("soft"), width: 1, dash: "dot" },
    })),
    annotations: marks.map(({ name, value }, mark) => ({
      xref: "paper", x: 1, xanchor: "left", xshift: 4, showarrow: false, font: { size: 11, color: ink("soft") }, align: "left",
      y: log ? Math.log10(Math.max(value, FLOOR)) : value, yanchor: mark ? "bottom" : "top", text: `${name}<br>${seconds(value)}`,
    })),
    uirevision: `${height} ${scale}`,
  }));
  named("dots-remark").textContent = remark(count, places);
  return places;
}

/**
 * Chooses the chunks that are drawn: all, or the longest gaps and a share of the others.
 * @param {number} count
 * @param {Float64Array} heights
 * @returns {(place: number) => boolean}
 */
function chosenDots(count, heights) {
  if (count <= MOST_DOTS) return () => true;
  const longest = Float64Array.from(heights).sort()[heights.length - MOST_DOTS / 2];
  const every = Math.ceil(count / (MOST_DOTS / 2));
  return (place) => heights[place] > longest || place % every === 0;
}

/**
 * @param {number} count
 * @param {number[][]} places
 */
function remark(count, places) {
  const drawn = places.reduce((sum, chosen) => sum + chosen.length, 0);
  if (!count) return "No stream is selected.";
  if (drawn === count) return "";
  const why = WEBGL ? "" : "This browser offers no WebGL. ";
  return `${why}${whole(drawn)} of ${whole(count)} chunks are drawn, the longest gaps among them.`;
}
