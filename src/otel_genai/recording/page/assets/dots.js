// Every chunk as a dot: when it arrived, and how long after the one before.

const FLOOR = 1e-6; // the recording's own resolution; a logarithm needs more than nothing

const LONG = 5; // medians

const DOTS_HEIGHTS = {
  gap: { title: "gap between chunks", of: (recording) => recording.gap },
  wait: { title: "wait of the consumer", of: (recording) => recording.wait },
};

/** Draws the dots of the operations; returns the chunk's place for each point of each trace. */
function drawDots(recording, operations, zoom, { colour, height, scale }) {
  const heights = DOTS_HEIGHTS[height].of(recording);
  const streams = operations.filter((operation) => operation.chunks > 0);
  const count = streams.reduce((sum, operation) => sum + operation.chunks, 0);
  const shown = chosenDots(count, heights);
  const later = laterOf(streams, heights).sort();
  const marks = later.length ? [0.5, 0.99].map((share) => [`p${share * 100}`, percentile(later, share)]) : [];
  const long = marks.length ? LONG * marks[0][1] : 0;
  const names = colour === "stream" ? undefined : namesOf(recording, colour, streams);
  const groups = new Map();
  streams.forEach((operation, rank) => {
    const name = names && KINDS[colour](operation, recording);
    const key = names ? names.indexOf(name) : rank % PALETTE.length;
    const group = groups.get(key) ?? { name, colour: PALETTE[key % PALETTE.length], first: [], later: [], long: [] };
    groups.set(key, group);
    const end = operation.firstChunk + operation.chunks;
    group.first.push(operation.firstChunk);
    for (let place = operation.firstChunk + 1; place < end; place++) {
      if (shown(place)) (heights[place] > long ? group.long : group.later).push(place);
    }
  });

  const traces = [];
  const places = [];
  const add = (group, chosen, marker, changes) => {
    places.push(chosen);
    traces.push({
      type: DOTS, mode: "markers", hoverinfo: "none", name: plain(short(group.name ?? "")), legendgroup: group.name,
      x: Float64Array.from(chosen, (place) => recording.at[place]),
      y: Float64Array.from(chosen, (place) => Math.max(heights[place], FLOOR)),
      marker: { color: group.colour, ...marker },
      ...changes,
    });
  };
  // Many dots are small and let each other shine through; the few that matter are not.
  const size = count > 100_000 ? 2.5 : count > 10_000 ? 3.2 : 6;
  for (const group of groups.values()) add(group, group.later, { size, opacity: count > 10_000 ? 0.7 : 0.85 }, {});
  for (const group of groups.values()) add(group, group.long, { size: 6, opacity: 0.85 }, { showlegend: false });
  for (const group of groups.values()) {
    add(group, group.first, { size: 6, symbol: "diamond-open", opacity: 0.9, line: { width: 1 } }, { showlegend: false });
  }

  const log = scale === "log";
  draw("dots", traces, layout({
    xaxis: zoom.axis({ title: sinceStart(recording) }),
    yaxis: log
      ? logTimesAxis(DOTS_HEIGHTS[height].title, 3, { automargin: false })
      : timesAxis(DOTS_HEIGHTS[height].title, { rangemode: "tozero", automargin: false }),
    showlegend: names !== undefined,
    margin: { ...TIME_MARGIN, b: 42 },
    shapes: marks.map(([, value]) => ({
      type: "line", xref: "paper", x0: 0, x1: 1, y0: Math.max(value, FLOOR), y1: Math.max(value, FLOOR), layer: "above",
      line: { color: ink("soft"), width: 1, dash: "dot" },
    })),
    annotations: marks.map(([name, value], mark) => ({
      xref: "paper", x: 1, xanchor: "left", xshift: 4, showarrow: false, font: { size: 11, color: ink("soft") }, align: "left",
      y: log ? Math.log10(Math.max(value, FLOOR)) : value, yanchor: mark ? "bottom" : "top", text: `${name}<br>${seconds(value)}`,
    })),
    uirevision: `${height} ${scale}`,
  }));
  document.getElementById("dots-remark").textContent = remarkOnDots(count, places);
  return places;
}

/** Which chunks are drawn: all, or the longest gaps and a share of the others. */
function chosenDots(count, heights) {
  if (count <= MOST_DOTS) return () => true;
  const longest = Float64Array.from(heights).sort()[heights.length - MOST_DOTS / 2];
  const every = Math.ceil(count / (MOST_DOTS / 2));
  return (place) => heights[place] > longest || place % every === 0;
}

function remarkOnDots(count, places) {
  const drawn = places.reduce((sum, chosen) => sum + chosen.length, 0);
  if (!count) return "No stream is selected.";
  if (drawn === count) return "";
  const why = WEBGL ? "" : "This browser offers no WebGL. ";
  return `${why}${whole(drawn)} of ${whole(count)} chunks are drawn, the longest gaps among them.`;
}
