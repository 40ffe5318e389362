#!/usr/bin/env bash
# scripts/dist.sh PUBLIC_URL: builds the release page into dist/. Called by `make dist`.
set -euo pipefail
# wasm-bindgen and Trunk write below cargo's target folder; two builds at once would mix.
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
exec 9>"$target/.dist.lock"
flock 9
trunk build --color never --public-url "$1"
