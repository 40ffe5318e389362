// Bundles assets/editor/editor.js with CodeMirror into one ES module.
// By hand: node scripts/bundle-editor.mjs prints its size.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

// CodeMirror's style-mod uses adopted style sheets in shadow roots and a <style> element in
// documents. The page's Content-Security-Policy allows no inline style, and adopted sheets
// need none, so the document takes the same path as a shadow root.
const adoptStyleSheets = {
  name: "adopt-style-sheets",
  setup(build) {
    build.onLoad({ filter: /style-mod\/src\/style-mod\.js$/ }, async ({ path: file }) => {
      const source = await readFile(file, "utf8");
      const contents = source.replace("if (!root.head && root.adoptedStyleSheets", "if (root.adoptedStyleSheets");
      if (contents === source) throw new Error("style-mod has changed: look for its choice between adopted sheets and <style>");
      return { contents, loader: "js" };
    });
  },
};

/** The minified bundle's bytes. */
export async function bundleEditor() {
  const result = await build({
    entryPoints: [path.join(root, "assets/editor/editor.js")],
    bundle: true, minify: true, write: false, format: "esm", target: "es2022", legalComments: "none",
    plugins: [adoptStyleSheets],
  });
  return result.outputFiles[0].contents;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bytes = await bundleEditor();
  console.log(`editor: ${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} gzip`);
}
