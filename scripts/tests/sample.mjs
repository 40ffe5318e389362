// A small program for the tests, with every way in which functions meet: by name, by address, from outside.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { wasmFeatures } from "../wasm/features.mjs";

const assembler = fileURLToPath(new URL("../../node_modules/binaryen/bin/wasm-as", import.meta.url));

/** A module from its text. */
export function assembled(text) {
  const folder = mkdtempSync(path.join(tmpdir(), "kubetab-"));
  const [from, to] = ["module.wat", "module.wasm"].map((name) => path.join(folder, name));
  try {
    writeFileSync(from, text);
    execFileSync(process.execPath, [assembler, ...wasmFeatures, from, "-o", to]);
    return readFileSync(to);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The functions of the program, by their number. */
export const FUNCTION = { main: 0, late: 1, lateOnly: 2, helper: 3, addressed: 4, byAddress: 5, exported: 6 };

export const program = assembled(`(module
  (import "host" "note" (func $note (param i32)))
  (import "host" "lateNote" (func $lateNote (param i32)))
  (memory (export "memory") 1)
  (table $functions 4 4 funcref)
  (table $values 2 externref)
  (global $depth (mut i32) (i32.const 100))
  (global $constant i32 (i32.const 5))
  (type $unary (func (param i32) (result i32)))
  (elem (i32.const 1) $addressed $helper $addressed)
  (data (i32.const 8) "\\2a\\00\\00\\00")
  (func $main (export "main") (param i32) (result i32)
    (call $note (local.get 0))
    (if (result i32) (local.get 0)
      (then (call $late (local.get 0) (i64.const -3) (f64.const 0.5)))
      (else (i32.const 7))))
  (func $late (param i32 i64 f64) (result i32)
    (local $sum i32)
    (global.set $depth (i32.sub (global.get $depth) (i32.const 1)))
    (local.set $sum (i32.add (call $helper (local.get 0)) (call $lateOnly (local.get 1))))
    (i32.add (local.get $sum) (i32.trunc_sat_f64_s (f64.mul (local.get 2) (f64.const 200)))))
  (func $lateOnly (param i64) (result i32)
    (call $lateNote (global.get $depth))
    (i32.store (i32.const 12) (i32.load (i32.const 8)))
    (i32.wrap_i64 (local.get 0)))
  (func $helper (type $unary)
    (i32.mul (local.get 0) (global.get $constant)))
  (func $addressed (type $unary)
    (i32.add (local.get 0) (i32.const 1)))
  (func $byAddress (export "byAddress") (param i32 i32) (result i32)
    (call_indirect $functions (type $unary) (local.get 1) (local.get 0)))
  (func $exported (export "exported") (result i32)
    (block $done (br_table $done $done (i32.const 1)))
    (i32.load (i32.const 12))))`);
