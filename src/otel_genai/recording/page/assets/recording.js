// The recording, out of the page's data element, and what of it is selected. `payload.py` says how it is packed.

/** What was recorded: operations as objects, and a place in typed arrays for each chunk. All times are in seconds. */
async function readRecording(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const view = new DataView(bytes.buffer);
  const told = view.getUint32(0, true);
  const { began_ms: beganMs, tick, processes, operations } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + told)));

  const count = operations.reduce((sum, operation) => sum + (operation.chunks ?? 0), 0);
  const gap = new Float64Array(count);
  const wait = new Float64Array(count);
  const at = new Float64Array(count);
  const owner = new Uint32Array(count);
  const tokens = new Uint32Array(count);
  const read = (column, place) => view.getUint32(4 + told + 4 * (column * count + place), true);
  let place = 0;
  let counted = 0;
  operations.forEach((operation, index) => {
    operation.index = index;
    operation.end = operation.start + operation.duration;
    operation.firstChunk = place;
    operation.chunks ??= 0;
    operation.usage ??= {};
    let ticks = 0;
    for (let chunk = 0; chunk < operation.chunks; chunk++, place++) {
      ticks += read(0, place);
      gap[place] = read(0, place) * tick;
      wait[place] = read(1, place) * tick;
      at[place] = operation.start + ticks * tick;
      owner[place] = index;
      if (operation.counted) tokens[place] = read(2, counted++);
    }
  });
  return { beganMs, processes, operations, gap, wait, at, owner, tokens };
}

/** When the first token, or for want of that the first chunk, of an operation came; undefined if there was none. */
function firstArrival(recording, operation) {
  if (operation.first_token !== undefined) return operation.start + operation.first_token;
  return operation.chunks ? recording.at[operation.firstChunk] : undefined;
}

/** Where to look first: at the beginning, or where the first chunks were asked for if loading took longer than all that came after it. */
function generatingSince({ operations }, end) {
  const since = operations.reduce((earliest, { start, chunks }) => (chunks ? Math.min(earliest, start) : earliest), end);
  return since < end && since > end - since ? since : 0;
}

/** What a column holds for all chunks of the operations but their first. */
function laterOf(operations, column) {
  const later = new Float64Array(operations.reduce((sum, { chunks }) => sum + Math.max(chunks - 1, 0), 0));
  let filled = 0;
  for (const { firstChunk, chunks } of operations) {
    if (chunks > 1) later.set(column.subarray(firstChunk + 1, firstChunk + chunks), filled);
    filled += Math.max(chunks - 1, 0);
  }
  return later;
}

function processName(process) {
  return `${process.host} ${process.pid}`;
}

const KINDS = {
  model: (operation) => operation.model ?? "–",
  operation: (operation) => operation.operation,
  process: (operation, recording) => processName(recording.processes[operation.process]),
};

/** The different models, operations or processes, those with most operations first. */
function namesOf(recording, kind, operations = recording.operations) {
  const counts = new Map();
  for (const operation of operations) {
    const name = KINDS[kind](operation, recording);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
}

/** The operations that bear the wanted names; `undefined` wants any. */
function selectOperations(recording, wanted) {
  return recording.operations.filter((operation) =>
    Object.entries(wanted).every(([kind, name]) => name === undefined || KINDS[kind](operation, recording) === name),
  );
}
