// wasm-bindgen's JavaScript for a program, as a module that leaves starting it to others.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";

const EXPORTS = "export { initSync, __wbg_init as default };";

/** The loader's text, which exports what it gives the program and what it does with an instance of it. */
export async function openGlue(loader) {
  const source = await readFile(loader, "utf8");
  const opened = source.replace(EXPORTS, "export { __wbg_get_imports as getImports, __wbg_finalize_init as finish };");
  if (opened === source) throw new Error(`wasm-bindgen has changed: look in ${loader} for what makes the imports and takes the instance`);
  return opened;
}

/** The glue as text of a function's body that returns it, to be run with surroundings of one's own. */
export async function glueFunction(loader) {
  const result = await build({
    stdin: { contents: await openGlue(loader), resolveDir: path.dirname(loader) },
    bundle: true, write: false, format: "iife", globalName: "glue", target: "es2022", logLevel: "error",
  });
  return `${result.outputFiles[0].text}\nreturn glue;`;
}
