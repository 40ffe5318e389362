#!/usr/bin/env bash
# scripts/dist.sh PUBLIC_URL [PROFILE]: builds the page into dist/. Called by `make dist`, and
# by `make look` with cargo's profile `web-look`, which is quick to build and not shrunk.
set -euo pipefail
# wasm-bindgen and Trunk write below cargo's target folder; two builds at once would mix.
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
exec 9>"$target/.dist.lock"
flock 9
export KUBETAB_PROFILE=${2:-web}
trunk build --color never --public-url "$1" --cargo-profile "$KUBETAB_PROFILE"
