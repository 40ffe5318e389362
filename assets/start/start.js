// Starts a program whose WebAssembly comes in two files (scripts/wasm/split.mjs says how they fit together): runs the
// first one, and loads the late one in the background. A call that comes before it waits for it right here.

/** After a failure the late part is asked for again, each time after twice as long, in milliseconds. */
const [PAUSE_FIRST_MS, PAUSE_MOST_MS] = [1_000, 30_000];

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const failure = (address, why) => new Error(`${address} could not be loaded: ${why}`);

async function compile(address) {
  const response = await fetch(address);
  if (!response.ok) throw failure(address, response.status);
  // A host that does not know the type is no reason to fail, only slower.
  return response.headers.get("content-type") === "application/wasm"
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

function compileNow(address) {
  const request = new XMLHttpRequest();
  request.open("GET", address, false);
  // A window may not ask for bytes while it waits. As text in this encoding each byte is a character's last byte.
  request.overrideMimeType("text/plain; charset=x-user-defined");
  try {
    request.send();
  } catch (error) {
    throw failure(address, error.message);
  }
  if (request.status !== 200) throw failure(address, request.status);
  return new WebAssembly.Module(Uint8Array.from(request.responseText, (character) => character.charCodeAt(0)));
}

/** What the late module imports: what the first one does, and the first one itself. */
function surroundings(imports, first) {
  const table = first["table 0"];
  return { ...imports, first, table: new Proxy({}, { get: (_, place) => table.get(parseInt(place, 36)) }) };
}

/** When a page has been painted; a worker, and a page that nobody sees, paint nothing. */
const painted = () => new Promise((resolve) => {
  if (globalThis.document?.visibilityState === "visible") requestAnimationFrame(() => setTimeout(resolve));
  else resolve();
});

/** Loads the late part until that succeeds, or a call could not wait and has loaded it. */
async function loadInBackground(address, isThere, take) {
  for (let pause = PAUSE_FIRST_MS; !isThere(); pause = Math.min(2 * pause, PAUSE_MOST_MS)) {
    try {
      await take(await compile(address));
    } catch (error) {
      // Once may be chance. From the second time on whoever waits is told.
      if (pause > PAUSE_FIRST_MS) globalThis.dispatchEvent(new Event("kubetab-missing"));
      console.warn(error.message);
      await sleep(pause);
    }
  }
}

/**
 * Starts a program, given wasm-bindgen's glue (see scripts/glue.mjs) and the addresses of its files; without the second
 * one it is whole. Two events tell the program how it stands: `kubetab-complete`, when all of it is there, and
 * `kubetab-missing`, when the late part cannot be loaded so far.
 */
export async function start({ getImports, finish }, firstAddress, lateAddress) {
  const imports = getImports();
  const module = await compile(firstAddress.href);
  let first;
  const isThere = () => !lateAddress || first.late.value === 1;
  const arrived = (how) => {
    performance.mark("kubetab-late", { detail: how });
    globalThis.dispatchEvent(new Event("kubetab-complete"));
  };
  imports.late = {
    load() {
      new WebAssembly.Instance(compileNow(lateAddress.href), surroundings(imports, first));
      // Not now, in the middle of a call.
      setTimeout(() => arrived("called for"));
    },
  };
  const instance = await WebAssembly.instantiate(module, imports);
  first = instance.exports;
  finish(instance, module);
  await painted();
  if (isThere()) return arrived("whole");
  await loadInBackground(lateAddress.href, isThere, async (late) => {
    if (isThere()) return;
    await WebAssembly.instantiate(late, surroundings(imports, first));
    arrived("in the background");
  });
}
