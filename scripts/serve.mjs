// Serves a folder of static files, as any host would: node scripts/serve.mjs [folder] [port] [base]
//   folder   what to serve                          (dist)
//   port     0 picks a free one                     (8080)
//   base     the path below which the files appear  (/)
// Prints the address when it listens. Nothing is cached, so a new build is seen at once.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";

const [folder = "dist", port = "8080", base = "/"] = process.argv.slice(2);
const root = path.resolve(folder);
const types = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
  ".yaml": "text/yaml; charset=utf-8",
};

/** The file that a request's path names, or undefined when it names none. */
async function fileOf(url) {
  const { pathname } = new URL(url, "http://localhost");
  if (!pathname.startsWith(base)) return undefined;
  let file;
  try {
    file = path.join(root, decodeURIComponent(pathname.slice(base.length)));
  } catch {
    return undefined;
  }
  if (file !== root && !file.startsWith(root + path.sep)) return undefined;
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory() && pathname.endsWith("/")) return fileOf(`${pathname}index.html`);
  return found?.isFile() ? file : undefined;
}

const server = createServer(async (request, response) => {
  const headers = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { ...headers, allow: "GET, HEAD" }).end();
    return;
  }
  const file = await fileOf(request.url);
  if (!file) {
    response.writeHead(404, { ...headers, "content-type": types[".txt"] }).end("There is no such file.\n");
    return;
  }
  response.writeHead(200, { ...headers, "content-type": types[path.extname(file)] ?? "application/octet-stream" });
  if (request.method === "HEAD") response.end();
  else createReadStream(file).on("error", () => response.destroy()).pipe(response);
});

if (!(await stat(path.join(root, "index.html")).catch(() => undefined))) {
  console.error(`There is no ${path.join(folder, "index.html")}. Build the page first: make dist`);
  process.exit(1);
}
server.on("error", (error) => {
  console.error(error.code === "EADDRINUSE"
    ? `Port ${port} is in use. Stop what listens there, or choose another: make serve PORT=8081`
    : `The server could not start: ${error.message}`);
  process.exit(1);
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`Kubetab is at http://127.0.0.1:${server.address().port}${base}`);
});
