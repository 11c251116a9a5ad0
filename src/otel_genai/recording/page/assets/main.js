// Reads the recording and keeps the charts in step with what is selected.

const SELECTS = ["model", "operation", "process"];
const DOTS_CHOICES = ["colour", "height", "scale"];
const OVER_TIME = ["dots", "in-flight", "throughput", "timeline"];

async function main() {
  const recording = await readRecording(document.getElementById("recording").textContent);
  const end = recording.operations.reduce((latest, operation) => Math.max(latest, operation.end), 0);
  const zoom = new TimeZoom(OVER_TIME, [0, end], generatingSince(recording, end), () => {
    drawThroughput(recording, operations, zoom);
    of.timeline = drawTimeline(recording, operations, zoom);
  });
  let operations = recording.operations;
  const of = {};

  const drawChosenDots = () => {
    const chosen = DOTS_CHOICES.map((choice) => [choice, document.getElementById(`dots-${choice}`).value]);
    of.dots = drawDots(recording, operations, zoom, Object.fromEntries(chosen));
  };
  const drawAll = () => {
    drawChosenDots();
    drawInFlight(recording, operations, zoom);
    drawThroughput(recording, operations, zoom);
    of.timeline = drawTimeline(recording, operations, zoom);
    drawDistributions(recording, operations);
    Object.assign(of, drawTokens(recording, operations));
    drawErrors(recording, operations);
    const all = recording.operations.length;
    document.getElementById("selected").textContent =
      operations.length === all ? numbered(all, "operation") : `${whole(operations.length)} of ${numbered(all, "operation")}`;
  };
  const select = () => {
    const wanted = SELECTS.map((kind) => [kind, document.getElementById(`select-${kind}`).selectedOptions[0].wanted]);
    operations = selectOperations(recording, Object.fromEntries(wanted));
    drawAll();
  };

  for (const kind of SELECTS) {
    const menu = document.getElementById(`select-${kind}`);
    menu.append(element("option", "all"));
    for (const name of namesOf(recording, kind)) {
      const option = element("option", name);
      option.wanted = name;
      menu.append(option);
    }
    menu.addEventListener("change", select);
  }
  for (const choice of DOTS_CHOICES) document.getElementById(`dots-${choice}`).addEventListener("change", drawChosenDots);
  document.getElementById("reset-zoom").addEventListener("click", () => zoom.to(zoom.whole));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  drawAll();
  zoom.listen();
  tellOnHover("dots", ({ curveNumber, pointNumber }) => aboutChunk(recording, of.dots[curveNumber][pointNumber]));
  for (const id of ["timeline", "tokens-in-out", "tokens-first"]) {
    tellOnHover(id, ({ curveNumber, pointNumber }) => aboutOperation(recording, of[id][curveNumber][pointNumber]));
  }
  document.body.dataset.ready = "true";
}

main().catch((error) => {
  const trouble = document.getElementById("trouble");
  trouble.textContent = `The charts could not be drawn: ${error.message}`;
  trouble.hidden = false;
  throw error;
});
