#!/usr/bin/env bash
# Installs what the build needs and is not there yet; a second run installs nothing.
#   scripts/setup.sh          what `make dist` and `make serve` need
#   scripts/setup.sh test     also what `make test` needs: clippy, rustfmt, Chromium, ChromeDriver
set -euo pipefail
. "$(dirname "$0")/environment.sh"
cd "$kubetab_root"

TRUNK_VERSION=0.21.14
WASM_BINDGEN_VERSION=$(grep -A1 '^name = "wasm-bindgen"$' Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
NODE_MAJOR_MIN=20

say() { printf '==> %s\n' "$*"; }
die() { printf '==> cannot go on: %s\n' "$1" >&2; shift; [ $# -eq 0 ] || printf '    %s\n' "$@" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root: $*" "Run it yourself as root, then run make again."
  fi
}

apt_updated=no
apt_install() {
  command -v apt-get >/dev/null || die "apt-get is not here, so these Debian packages cannot be installed: $*" \
    "Install their counterparts with your system's package manager, then run make again."
  if [ "$apt_updated" = no ]; then as_root apt-get update -qq || true; apt_updated=yes; fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    || die "apt-get could not install: $*" "Look at its message above; often 'apt-get update' or a free lock helps."
}

need_node() {
  command -v npm >/dev/null || die "npm is not on PATH" "Install Node $NODE_MAJOR_MIN or later: https://nodejs.org"
  local major
  major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
  [ "$major" -ge "$NODE_MAJOR_MIN" ] || die "Node $(node --version) is too old" "Install Node $NODE_MAJOR_MIN or later: https://nodejs.org"
}

need_rust() {
  command -v cargo >/dev/null || die "cargo is not on PATH" "Install Rust: https://rustup.rs"
  if ! command -v cc >/dev/null; then say "Installing a C compiler, which Rust links with"; apt_install gcc libc6-dev; fi
}

need_wasm_target() {
  [ "$KUBETAB_RUST" = missing ] || return 0
  if command -v rustup >/dev/null; then
    say "Adding the wasm32-unknown-unknown target with rustup"
    if rustup target add wasm32-unknown-unknown && has_wasm_std rustc; then KUBETAB_RUST=default; return 0; fi
    say "rustup could not fetch it; using Debian's Rust instead"
  fi
  install_debian_rust
}

# The fallback without rustup's server: Debian's compiler, its linker for WebAssembly, and
# the standard library built once from Debian's source.
install_debian_rust() {
  say "Installing Debian's Rust: rustc-web, cargo-web, rust-web-src, rust-web-clippy"
  apt_install rustc-web cargo-web rust-web-src rust-web-clippy
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  found=$(/usr/bin/rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] \
    || die "Debian's rustc is $found, Kubetab needs $wanted" \
           "Enable bookworm-security in apt's sources, or let rustup reach its server, then run make again."
  local llvm
  llvm=$(/usr/bin/rustc --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  say "Installing the WebAssembly linker of LLVM $llvm"
  apt_install "lld-$llvm"
  use_debian_rust
  has_wasm_std /usr/bin/rustc || build_wasm_std
}

build_wasm_std() {
  say "Building Rust's standard library for wasm32-unknown-unknown (once, about a minute)"
  local crate destination
  crate=$(mktemp -d)
  destination=$(wasm_std_of /usr/bin/rustc)
  mkdir "$crate/src"
  printf '[package]\nname = "throwaway"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n' > "$crate/Cargo.toml"
  : > "$crate/src/lib.rs"
  (
    cd "$crate"
    export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-C embed-bitcode=yes" CARGO_TARGET_DIR="$crate/target"
    cargo build --release \
      -Z build-std=std,panic_abort,panic_unwind,proc_macro,test --target wasm32-unknown-unknown
  ) || die "the standard library for wasm32-unknown-unknown did not build" \
           "Look at cargo's message above. Without Debian: rustup target add wasm32-unknown-unknown"
  # Two builds of it beside each other would be one too many for rustc.
  as_root rm -rf "$destination"
  as_root mkdir -p "$destination"
  find "$crate/target/wasm32-unknown-unknown/release/deps" -name '*.rlib' ! -name 'libthrowaway-*' -print0 \
    | as_root xargs -0 cp -t "$destination"
  rm -rf "$crate"
  has_wasm_std /usr/bin/rustc || die "the standard library is not where rustc looks for it: $destination"
}

# A cargo tool at one exact version, from the registry, into cargo's own bin folder.
need_cargo_tool() {
  local binary=$1 package=$2 version=$3; shift 3
  if [ "$("$binary" --version 2>/dev/null | cut -d' ' -f2)" = "$version" ]; then return 0; fi
  say "Installing $package $version with cargo (once, several minutes)"
  env -u CARGO_TARGET_DIR cargo install "$package@$version" --force "$@" \
    || die "cargo could not install $package $version" "Look at its message above; often the network was away. Then run make again."
}

need_npm_packages() {
  cmp -s package-lock.json node_modules/.installed-lock.json && return 0
  say "Installing the npm packages of package-lock.json (CodeMirror, esbuild, binaryen)"
  npm ci --no-audit --no-fund || die "npm could not install the packages" "Look at its message above; often the network was away."
  cp package-lock.json node_modules/.installed-lock.json
}

need_lints() {
  if ! cargo clippy --version >/dev/null 2>&1; then
    say "Installing clippy"
    if [ "$KUBETAB_RUST" = debian ]; then apt_install rust-web-clippy; use_debian_rust
    else rustup component add clippy || die "rustup could not add clippy"
    fi
  fi
  if ! cargo fmt --version >/dev/null 2>&1; then
    say "Installing rustfmt"
    rustup component add rustfmt || die "rustfmt is not here" "Install it: rustup component add rustfmt"
  fi
}

need_browser() {
  local missing=()
  command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
  command -v chromedriver >/dev/null || missing+=(chromium-driver)
  [ ${#missing[@]} -eq 0 ] && return 0
  say "Installing the browser the tests drive: ${missing[*]}"
  apt_install "${missing[@]}"
}

need_node
need_rust
need_wasm_target
need_npm_packages
need_cargo_tool trunk trunk "$TRUNK_VERSION" --locked
need_cargo_tool wasm-bindgen wasm-bindgen-cli "$WASM_BINDGEN_VERSION"
if [ "${1:-}" = test ]; then
  need_lints
  need_browser
fi
