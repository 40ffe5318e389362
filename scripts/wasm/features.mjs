/** What every browser since 2023 understands and rustc uses; nothing beyond it. As options of binaryen's tools. */
export const wasmFeatures = [
  "bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext",
].map((feature) => `--enable-${feature}`);
