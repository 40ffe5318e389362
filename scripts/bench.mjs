// scripts/bench.mjs [filter]: what the benchmarks measured last, as a table.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [filter = ""] = process.argv.slice(2);
const directory = join(process.env.CARGO_TARGET_DIR ?? "target", "criterion");

// What the engine is held to, in nanoseconds for each element: README of the benchmarks, `benches/`.
const targets = [
  [/^API writes\//, 20e3],
  [/^scheduler\/schedule /, 50e3],
  [/an hour of a cluster of 100 pods$/, 1e9],
];

const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
const time = (nanoseconds) => {
  const [size, unit] = units.find(([size]) => nanoseconds >= size) ?? units.at(-1);
  return `${(nanoseconds / size).toPrecision(3)} ${unit}`;
};

function* results(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* results(path);
    else if (entry.name === "benchmark.json" && folder.endsWith("new")) yield folder;
  }
}

const rows = [];
for (const folder of results(directory)) {
  const read = (file) => JSON.parse(readFileSync(join(folder, file), "utf8"));
  const benchmark = read("benchmark.json");
  if (!benchmark.full_id.includes(filter)) continue;
  const median = read("estimates.json").median.point_estimate;
  const elements = benchmark.throughput?.Elements ?? 1;
  const target = targets.find(([pattern]) => pattern.test(benchmark.full_id))?.[1];
  rows.push([
    benchmark.full_id,
    time(median),
    elements > 1 ? time(median / elements) : "",
    target ? `${median / elements <= target ? "within" : "ABOVE"} ${time(target)}` : "",
  ]);
}
rows.sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
rows.unshift(["benchmark", "median", "each", "target"]);
const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
for (const row of rows) {
  const cells = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])));
  console.log(cells.join("  ").trimEnd());
}
