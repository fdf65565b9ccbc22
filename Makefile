# Every target is a script of tests/testbed; each installs what it needs and says what it does.
.PHONY: demo test smoke test-sbom test-release lint bench bench-detect detect-size release clean-testbed

demo: ## build peelbox, then an example into an image
	@tests/testbed/demo

test: ## formatting, lints and all tests, against real BuildKit daemons
	@tests/testbed/test

smoke: ## public projects: detected, built, started, asked; writes docs/smoke.md
	@tests/testbed/smoke

test-sbom: ## SBOMs against syft's, as a table; syft takes ten minutes to build the first time
	@tests/testbed/install syft
	@tests/testbed/test --test it -- --ignored --nocapture sbom_against_syft

lint: ## formatting and lints only
	@tests/testbed/lint

bench: ## peelbox against buildctl, buildx and `docker load`
	@tests/testbed/bench

bench-detect: ## `peelbox detect` against other detectors; nixpacks takes some minutes to build the first time
	@tests/testbed/bench-detect

detect-size: ## bytes of `detect` in the static binary, here and at REVISION; minutes for each
	@tests/testbed/detect-size $(REVISION)

release: ## a static binary: target/release-musl/peelbox
	@tests/testbed/release

test-release: release ## all integration tests with the static binary
	@PEELBOX_TEST_BINARY="$(CURDIR)/target/release-musl/peelbox" tests/testbed/test --test it

clean-testbed: ## end the testbed's daemons and remove its cache
	@tests/testbed/clean
