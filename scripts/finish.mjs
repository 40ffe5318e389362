// Trunk's last step (see Trunk.toml): makes out of what cargo and wasm-bindgen built the
// files that are served. Each gets the hash of its content into its name, so a host may
// cache all but index.html for ever and an old page never meets a new worker.
//
//   page-<hash>.js      the page's loader, an ES module; starts the page at once
//   cluster-<hash>.js   the Web Worker, a classic script
//   editor-<hash>.js    CodeMirror, an ES module which the page loads after first paint
//   descriptions-<hash>.txt  what `kubectl explain` says, which the page loads when that is asked
//   *_bg-<hash>.wasm    what page and worker need first, shrunk by wasm-opt
//   *_late-<hash>.wasm  the rest of them, which each loads when it runs
//
// What is needed first is found out by running both, without a browser, through a visit (scripts/profile/visit.mjs).
// The page finds the addresses of the worker, the editor and the descriptions in meta tags. No script is
// inline, because the Content-Security-Policy of index.html allows none.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build, transform } from "esbuild";
import { bundleEditor } from "./bundle-editor.mjs";
import { glueFunction, openGlue } from "./glue.mjs";
import { neededFirst, rehearse } from "./profile/visit.mjs";
import { wasmFeatures } from "./wasm/features.mjs";
import { parse } from "./wasm/module.mjs";
import { byLikeness } from "./wasm/order.mjs";
import { split } from "./wasm/split.mjs";

const staging = process.env.TRUNK_STAGING_DIR;
if (!staging) throw new Error("scripts/finish.mjs is called by Trunk; run: make dist");
const publicUrl = process.env.TRUNK_PUBLIC_URL ?? "./";
/** Built by `make look`: quickly, large, and whole. */
const isForALook = process.env.KUBETAB_PROFILE === "web-look";
const cache = path.resolve(process.env.CARGO_TARGET_DIR ?? "target", "wasm-opt");

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);

/** The one file in the staging folder that Trunk named after `pattern`. */
async function staged(pattern) {
  const found = (await readdir(staging)).filter((name) => pattern.test(name));
  if (found.length !== 1) throw new Error(`expected one file like ${pattern} from Trunk, found: ${found.join(", ") || "none"}`);
  return path.join(staging, found[0]);
}

/** Writes `bytes` under a name that carries their hash; returns that name. */
async function publish(stem, extension, bytes) {
  const name = `${stem}-${hash(bytes)}.${extension}`;
  await writeFile(path.join(staging, name), bytes);
  return name;
}

/** Shrinks a wasm file; the result is kept under the input's hash, as this takes long. */
async function shrink(file) {
  const binaryen = path.dirname(createRequire(import.meta.url).resolve("binaryen/package.json"));
  const { version } = JSON.parse(await readFile(path.join(binaryen, "package.json"), "utf8"));
  // What is called from one place only stays by itself when it is large: half of such code is never needed first, and
  // would be, as a part of what is.
  const level = ["-Oz", "--one-caller-inline-max-function-size=60"];
  const input = await readFile(file);
  const settings = Buffer.from([version, ...level, ...wasmFeatures].join());
  const kept = path.join(cache, `${hash(Buffer.concat([input, settings]))}.wasm`);
  try {
    return await readFile(kept);
  } catch {
    await mkdir(cache, { recursive: true });
    const partial = `${kept}.${process.pid}`;
    await promisify(execFile)(process.execPath, [path.join(binaryen, "bin", "wasm-opt"), ...level, ...wasmFeatures, file, "-o", partial]);
    await rename(partial, kept);
    return await readFile(kept);
  }
}

/** A program as Trunk left it: wasm-bindgen's glue and the wasm file, which is shrunk. */
async function built(name) {
  const loader = await staged(new RegExp(`^${name}(-[0-9a-f]+)?\\.js$`));
  const file = await staged(new RegExp(`^${name}(-[0-9a-f]+)?_bg\\.wasm$`));
  return { name, loader, file, bytes: isForALook ? await readFile(file) : await shrink(file) };
}

/** A program's wasm in two files, given the functions that are needed first. */
function inTwo(bytes, needed, texts) {
  const first = new Set(needed);
  const order = (functions, bodyOf) => byLikeness(functions.map(bodyOf)).map((place) => functions[place]);
  return split(parse(bytes), (index) => first.has(index), order, texts);
}

/** The longest texts that programs carry; those that nothing needs first come late. */
async function longTexts() {
  const all = async (folder) => (await readdir(folder)).map((name) => path.join(folder, name));
  const files = ["assets/images.yaml", "assets/gateway-api.yaml", "assets/time-zones.txt", "assets/nginx-directives.txt", "assets/redis-settings.txt", "src/api/internal.txt", "src/apiserver/authorization/roles.txt",
    "src/kubectl/help/commands.txt", "src/kubectl/help/flags.txt", ...(await all("src/machinery/schema/types")), ...(await all("assets/scenarios"))];
  return Promise.all(files.map((file) => readFile(file)));
}

/** The wasm files of page and engine; those of a page that is only for a look are whole. */
async function divided(page, cluster) {
  if (isForALook) return [page, cluster].map(({ bytes }) => ({ first: bytes }));
  const [pageGlue, clusterGlue] = await Promise.all([page, cluster].map(({ loader }) => glueFunction(loader)));
  const needed = await neededFirst({ glue: pageGlue, bytes: page.bytes }, { glue: clusterGlue, bytes: cluster.bytes });
  const texts = await longTexts();
  const files = [inTwo(page.bytes, needed.page, texts), inTwo(cluster.bytes, needed.cluster, texts)];
  await rehearse({ glue: pageGlue, first: files[0].first }, { glue: clusterGlue, first: files[1].first }, needed.said);
  return files;
}

/** wasm-bindgen's glue, opened, in place of the file. */
const openedGlue = {
  name: "opened-glue",
  setup(build) {
    build.onLoad({ filter: /\/(page|cluster)(-[0-9a-f]+)?\.js$/ }, async ({ path: file }) => ({ contents: await openGlue(file), loader: "js" }));
  },
};

/** Bundles glue, what starts the program, and the addresses of its files into one minified script. */
async function bundleLoader(loader, format, addresses) {
  const contents = `
    import { getImports, finish } from ${JSON.stringify(loader)};
    import { start } from ${JSON.stringify(fileURLToPath(new URL("../assets/start/start.js", import.meta.url)))};
    start({ getImports, finish }, ${addresses.join(", ")}).catch(reportError);`;
  const result = await build({
    stdin: { contents, resolveDir: staging },
    bundle: true, minify: true, write: false, format, target: "es2022", legalComments: "none", plugins: [openedGlue],
    // wasm-bindgen's own way to start, which is not used, has an address of its own.
    logOverride: { "empty-import-meta": "silent" },
  });
  return result.outputFiles[0].contents;
}

async function publishProgram({ name, loader, file }, { first, late }, format, scriptAddress) {
  const wasmNames = [await publish(`${name}_bg`, "wasm", first)];
  if (late) wasmNames.push(await publish(`${name}_late`, "wasm", late));
  const addresses = wasmNames.map((each) => `new URL(${JSON.stringify(each)}, ${scriptAddress})`);
  const scriptName = await publish(name, "js", await bundleLoader(loader, format, addresses));
  await Promise.all([rm(loader), rm(file)]);
  return { scriptName, wasmName: wasmNames[0] };
}

async function minifyStyles() {
  for (const name of (await readdir(staging)).filter((name) => name.endsWith(".css"))) {
    const file = path.join(staging, name);
    const { code } = await transform(await readFile(file, "utf8"), { loader: "css", minify: true });
    await writeFile(file, code);
  }
}

const programs = await Promise.all([built("page"), built("cluster")]);
const files = await divided(...programs);
const [page, cluster, editorName, descriptionsName] = await Promise.all([
  publishProgram(programs[0], files[0], "esm", "import.meta.url"),
  publishProgram(programs[1], files[1], "iife", "self.location.href"),
  bundleEditor().then((bytes) => publish("editor", "js", bytes)),
  readFile("assets/descriptions.txt").then((bytes) => publish("descriptions", "txt", bytes)),
  minifyStyles(),
]);
await rm(path.join(staging, "snippets"), { recursive: true, force: true });

const html = await staged(/^index\.html$/);
const tags = [
  `<meta name="kubetab-cluster" content="${publicUrl}${cluster.scriptName}">`,
  `<meta name="kubetab-editor" content="${publicUrl}${editorName}">`,
  `<meta name="kubetab-descriptions" content="${publicUrl}${descriptionsName}">`,
  `<link rel="preload" as="fetch" type="application/wasm" crossorigin href="${publicUrl}${page.wasmName}">`,
  `<script type="module" src="${publicUrl}${page.scriptName}"></script>`,
].join("\n");
const before = await readFile(html, "utf8");
const after = before
  .replace(/<link data-trunk rel="rust"[^>]*>\n*/g, "")
  .replace("</head>", `${tags}\n</head>`);
if (!after.includes(tags)) throw new Error("index.html has no </head> to put the script tags before");
await writeFile(html, after);
