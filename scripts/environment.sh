# Sourced by every step: puts the right Rust, the project's npm tools and cargo's own
# binaries first on PATH. It installs nothing and takes a few milliseconds; scripts/setup.sh
# installs what is missing.
#
# Afterwards KUBETAB_RUST says which Rust builds for wasm32-unknown-unknown:
#   default   the one that was on PATH already (usually rustup's)
#   debian    Debian's rustc-web, where rustup could not fetch the target
#   missing   none yet

kubetab_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH="$kubetab_root/node_modules/.bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# The directory in which this rustc keeps the standard library for wasm32.
wasm_std_of() { printf '%s/lib/rustlib/wasm32-unknown-unknown/lib' "$("$1" --print sysroot 2>/dev/null)"; }

# Whether it is there, with the LLVM bitcode in it that link-time optimisation needs.
has_wasm_std() { command -v "$1" >/dev/null && grep -qs '\.llvmbc' "$(wasm_std_of "$1")"/libcore-*.rlib; }

debian_rust() { dpkg-query -W -f '${Status}' rustc-web 2>/dev/null | grep -q 'install ok installed'; }

# Links to Debian's tools in a folder of their own: /usr/bin itself must not come first,
# because it may hold another Node than the one the user chose.
use_debian_rust() {
  local links="$kubetab_root/target/debian-rust" tool
  mkdir -p "$links"
  for tool in cargo rustc rustdoc cargo-clippy clippy-driver; do
    [ -x "/usr/bin/$tool" ] && [ ! -e "$links/$tool" ] && ln -s "/usr/bin/$tool" "$links/$tool"
  done
  export PATH="$links:$PATH" KUBETAB_RUST=debian
  local linker
  linker=$(compgen -c wasm-ld- | sort -Vu | tail -n 1)
  [ -n "$linker" ] && export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker"
  return 0
}

if has_wasm_std rustc; then
  export KUBETAB_RUST=default
elif debian_rust && has_wasm_std /usr/bin/rustc; then
  use_debian_rust
else
  export KUBETAB_RUST=missing
fi

# Trunk finds its tools on PATH; it has nothing to ask the internet.
export TRUNK_SKIP_VERSION_CHECK=true
