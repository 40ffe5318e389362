// Trunk's last step (see Trunk.toml): makes out of what cargo and wasm-bindgen built the
// files that are served. Each gets the hash of its content into its name, so a host may
// cache all but index.html for ever and an old page never meets a new worker.
//
//   page-<hash>.js      the page's loader, an ES module; starts the page at once
//   cluster-<hash>.js   the Web Worker, a classic script
//   editor-<hash>.js    CodeMirror, an ES module which the page loads after first paint
//   *_bg-<hash>.wasm    the two wasm files, shrunk by wasm-opt
//
// The page finds the worker's and the editor's addresses in two meta tags. No script is
// inline, because the Content-Security-Policy of index.html allows none.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { build, transform } from "esbuild";
import { bundleEditor } from "./bundle-editor.mjs";
import { likenessNames } from "./order.mjs";

const staging = process.env.TRUNK_STAGING_DIR;
if (!staging) throw new Error("scripts/finish.mjs is called by Trunk; run: make dist");
const publicUrl = process.env.TRUNK_PUBLIC_URL ?? "./";
const cache = path.resolve(process.env.CARGO_TARGET_DIR ?? "target", "wasm-opt");

// What every browser since 2023 understands and rustc uses; nothing beyond it.
const wasmFeatures = [
  "bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext",
].map((feature) => `--enable-${feature}`);

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
  if (process.env.KUBETAB_PROFILE === "web-look") return readFile(file);
  const binaryen = path.dirname(createRequire(import.meta.url).resolve("binaryen/package.json"));
  const { version } = JSON.parse(await readFile(path.join(binaryen, "package.json"), "utf8"));
  const level = "-Oz";
  const input = await readFile(file);
  const orderer = await readFile(new URL("order.mjs", import.meta.url));
  const settings = Buffer.from([version, level, ...wasmFeatures].join());
  const kept = path.join(cache, `${hash(Buffer.concat([input, orderer, settings]))}.wasm`);
  try {
    return await readFile(kept);
  } catch {
    await mkdir(cache, { recursive: true });
    const partial = `${kept}.${process.pid}`;
    const optimise = (from, pass) =>
      promisify(execFile)(process.execPath, [path.join(binaryen, "bin", "wasm-opt"), pass, ...wasmFeatures, from, "-o", partial]);
    await optimise(file, level);
    await writeFile(partial, likenessNames(await readFile(partial)));
    await optimise(partial, "--reorder-functions-by-name");
    await rename(partial, kept);
    return await readFile(kept);
  }
}

/** Bundles wasm-bindgen's loader with a line that starts it, into one minified script. */
async function bundleLoader(loader, format, start) {
  const result = await build({
    stdin: { contents: `import init from "./${path.basename(loader)}";\n${start}`, resolveDir: staging },
    bundle: true, minify: true, write: false, format, target: "es2022", legalComments: "none",
    // The default address is never used: `start` always gives one.
    logOverride: { "empty-import-meta": "silent" },
  });
  return result.outputFiles[0].contents;
}

async function publishProgram(name, format, scriptAddress) {
  const loader = await staged(new RegExp(`^${name}(-[0-9a-f]+)?\\.js$`));
  const wasm = await staged(new RegExp(`^${name}(-[0-9a-f]+)?_bg\\.wasm$`));
  const wasmName = await publish(`${name}_bg`, "wasm", await shrink(wasm));
  const start = `init({ module_or_path: new URL(${JSON.stringify(wasmName)}, ${scriptAddress}) });`;
  const scriptName = await publish(name, "js", await bundleLoader(loader, format, start));
  await Promise.all([rm(loader), rm(wasm)]);
  return { scriptName, wasmName };
}

async function minifyStyles() {
  for (const name of (await readdir(staging)).filter((name) => name.endsWith(".css"))) {
    const file = path.join(staging, name);
    const { code } = await transform(await readFile(file, "utf8"), { loader: "css", minify: true });
    await writeFile(file, code);
  }
}

const [page, cluster, editorName] = await Promise.all([
  publishProgram("page", "esm", "import.meta.url"),
  publishProgram("cluster", "iife", "self.location.href"),
  bundleEditor().then((bytes) => publish("editor", "js", bytes)),
  minifyStyles(),
]);
await rm(path.join(staging, "snippets"), { recursive: true, force: true });

const html = await staged(/^index\.html$/);
const tags = [
  `<meta name="kubetab-cluster" content="${publicUrl}${cluster.scriptName}">`,
  `<meta name="kubetab-editor" content="${publicUrl}${editorName}">`,
  `<link rel="preload" as="fetch" type="application/wasm" crossorigin href="${publicUrl}${page.wasmName}">`,
  `<script type="module" src="${publicUrl}${page.scriptName}"></script>`,
].join("\n");
const before = await readFile(html, "utf8");
const after = before
  .replace(/<link data-trunk rel="rust"[^>]*>\n*/g, "")
  .replace("</head>", `${tags}\n</head>`);
if (!after.includes(tags)) throw new Error("index.html has no </head> to put the script tags before");
await writeFile(html, after);
