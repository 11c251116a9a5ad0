// What failed, as a table.

const MOST_ERRORS = 200;
const ERROR_COLUMNS = ["began", "after", "operation", "model", "error", "process", "trace"];

function drawErrors(recording, operations) {
  const failed = operations.filter((operation) => operation.error);
  const table = document.getElementById("errors");
  const row = (kind, texts) => {
    const made = document.createElement("tr");
    made.append(...texts.map((text) => element(kind, text)));
    return made;
  };
  const head = document.createElement("thead");
  head.append(row("th", ERROR_COLUMNS));
  const body = document.createElement("tbody");
  body.append(
    ...failed.slice(0, MOST_ERRORS).map((operation) =>
      row("td", [
        `${clock(recording, operation.start)} UTC`, seconds(operation.duration), operation.operation, KINDS.model(operation),
        [operation.error.type, operation.error.summary, operation.error.message].filter(Boolean).join(": "),
        processName(recording.processes[operation.process]), operation.trace ?? "–",
      ]),
    ),
  );
  table.replaceChildren(...(failed.length ? [head, body] : []));
  document.getElementById("errors-remark").textContent = !failed.length
    ? "None."
    : failed.length > MOST_ERRORS
      ? `The first ${MOST_ERRORS} of ${whole(failed.length)}.`
      : "";
}
