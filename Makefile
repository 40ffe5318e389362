# Kubetab's commands. The two that matter: `make serve` and `make test`.
# Each step installs what it needs and is missing (scripts/setup.sh); a second run installs nothing.

# The path below which the page will be served. "./" works below any path.
PUBLIC_URL ?= ./
PORT ?= 8080
# Narrows `make e2e`, `make wasm-test` and `make bench`: make e2e ONLY=share
ONLY ?=

run := scripts/run
wasm := --target wasm32-unknown-unknown --profile web

.PHONY: help serve look api dist test setup setup-test fmt clippy script-test native-test wasm-test e2e simulate sizes bench screenshot clean

help: ## Lists the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

serve: dist ## Builds the release page and serves it at http://127.0.0.1:8080
	@node scripts/serve.mjs dist $(PORT)

look: setup ## Builds the page quickly and large, for a look at it, and serves it
	@$(run) "Building the page for a look" scripts/dist.sh "$(PUBLIC_URL)" web-look
	@node scripts/serve.mjs dist $(PORT)

api: ## Opens a cluster to your own kubectl at http://127.0.0.1:8001 (ARGS="--nodes 3 --speed 10")
	@$(run) "Opening a cluster to kubectl" cargo run --quiet --release --features serve --bin serve -- $(ARGS)

dist: setup ## Builds the release page into dist/ (PUBLIC_URL=/path/ for a fixed path)
	@$(run) "Building the page into dist/" scripts/dist.sh "$(PUBLIC_URL)"

# In this order what fails fast comes first; the tests of the built page come last.
test: setup-test ## Formatting, clippy, script, native, wasm and browser tests, download sizes
	@$(MAKE) --no-print-directory fmt script-test clippy native-test wasm-test dist e2e

fmt: ## Checks the formatting
	@$(run) "Checking the formatting" cargo fmt --check

clippy: ## Lints for this machine and for wasm32; warnings are errors
	@$(run) "Linting for this machine" cargo clippy --quiet --all-targets --features serve -- -D warnings
	@$(run) "Linting the browser tests" cargo clippy --quiet --test e2e --features serve -- -D warnings
	@$(run) "Linting for wasm32" cargo clippy --quiet $(wasm) --lib --bin page --bin cluster --test wasm -- -D warnings

script-test: ## Tests the build's scripts: the splitter, and how a split program starts
	@$(run) "Testing the build's scripts" node --test --test-reporter=dot scripts/tests/*.test.mjs

native-test: ## Runs the native tests
	@$(run) "Testing natively" cargo test --features serve

wasm-test: ## Runs the tests that need WebAssembly, in headless Chromium
	@CHROMEDRIVER="$$(command -v chromedriver)" $(run) "Testing in WebAssembly" cargo test $(wasm) --test wasm -- $(ONLY)

e2e: ## Drives the page in dist/ in headless Chromium (make dist first)
	@$(run) "Testing the built page in Chromium" cargo test --features serve --test e2e -- --test-threads=1 --nocapture $(ONLY)

simulate: ## Plays random workloads and faults until one seed fails (SEED=0 SEEDS=1000 STEPS=20000, or LOG=file)
	@SEED=$(SEED) SEEDS=$(SEEDS) STEPS=$(STEPS) LOG=$(LOG) $(run) "Simulating" cargo test --release --features serve --test simulate -- --ignored --nocapture

bench: ## Runs the benchmarks and prints what they measured
	@$(run) "Measuring" cargo bench --bench '*' -- $(ONLY)
	@node scripts/bench.mjs $(ONLY)

screenshot: dist ## Takes the README's screenshot of the built page
	@$(MAKE) --no-print-directory e2e ONLY=readme_screenshot
	@cp target/screenshots/readme.png assets/screenshot.png && echo "wrote assets/screenshot.png"

setup: ## Installs what the build needs
	@scripts/setup.sh

setup-test: ## Installs what the tests need, too
	@scripts/setup.sh test

clean: ## Removes what was built
	rm -rf target dist node_modules
