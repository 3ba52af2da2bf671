# The targets are short; the procedures are in scripts/. `make help` lists them.
CARGO = cargo
PREFIX = /usr/local
# The one list of programs, which the library `step`, the tests and the benchmarks read too.
PROGRAMS := $(shell cat scripts/programs)
RUNBOOKS = candidate release hotfix rollback rehearse status abandon approve
# The product that candidate, release, rollback and plan act on, and what they are told.
PRODUCT =
VERSION =
RUN =
REASON =
ARGS =

.PHONY: help build build-dev setup test lint extra reports corpus matrix sweep-notify sweep-db sweep-cdn sweep-run sweep-settings settings demo bench bench-peers deny install dist candidate release hotfix rollback rehearse status abandon plan clean

help: ## show this
	@sed -n 's/^\([a-z -]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install what tests and demo need (asks first; CI=true does not ask)
	@scripts/setup

build: ## build the programs for use, into target/release/
	scripts/build

build-dev: setup ## build everything for tests and demo
	$(CARGO) build --workspace --all-targets

test: setup lint build-dev ## format, lints, all tests, docs
	TMPDIR=$$(scripts/scratch) $(CARGO) test --workspace
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --quiet
	target/debug/changelog-lint --fresh CHANGELOG.md >/dev/null

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features db-restore/matrix -- -D warnings
	shellcheck -x -P SCRIPTDIR $(filter-out scripts/programs,$(wildcard scripts/*)) .ci/run
	scripts/check-crates

extra: ## checks against official schemas and real changelogs, where SHARED=DIR has them
	@scripts/extra-checks $(SHARED)

reports: build-dev ## ESLint, Vitest, Playwright and Newman for real, and what the gate says of them (npm, Chromium)
	@scripts/reports

corpus: ## changelog-lint against the real changelogs of SHARED=DIR (part of extra)
	@scripts/corpus $(SHARED)/changelogs

matrix: setup ## db-restore on PostgreSQL 15, 16 and 18 (fetches a Python wheel, once)
	TMPDIR=$$(scripts/scratch) scripts/matrix

sweep-notify: ## notify through 280 faults and 140 kills at random (NOTIFY_SWEEP=N for N and N/2)
	NOTIFY_SWEEP=$${NOTIFY_SWEEP:-280} $(CARGO) test -p notify --test cli sweep

sweep-db: setup ## db-restore killed at every line of every command, every fault, every kind of loss, every odd database (long)
	SWEEP=all $(CARGO) test --workspace --test cli -- guard:: odd::
	SWEEP=all $(CARGO) test --workspace --test cli -- claims:: hard:: loss:: manifest:: unwritten::

sweep-cdn: setup ## cdn-purge on 1,000 generated fleets of real caches (FLEETS=N)
	FLEETS=$${FLEETS:-1000} $(CARGO) test -p cdn-purge --test cli fleet:: -- --nocapture

sweep-settings: build-dev ## 10,000 changed release.toml: the schema and the program say the same of each (MUTATIONS=N)
	MUTATIONS=$${MUTATIONS:-10000} $(CARGO) test -p testkit --test whole settings::

settings: build-dev ## write the pages of the settings and release.schema.json anew, from what the programs say
	target/debug/settings-pages .

sweep-run: setup ## ten machines race for one release and one rollback (RACES=N rounds)
	RACES=$${RACES:-50} $(CARGO) test -p release-run --test cli race

demo: setup ## a release and a rollback before your eyes, on real parts
	$(CARGO) build --workspace
	@scripts/demo

bench: setup build ## measure, and write docs/benchmarks.md
	scripts/build -p testkit
	scripts/bench

bench-peers: setup build ## changelog-lint and tag-rc beside their peers, which are put into target/peers
	@scripts/peers
	npm install --silent --no-audit --no-fund --prefix target/peers git-cliff@2.14.2 release-it@20.2.1
	scripts/build -p testkit
	scripts/bench-tag-rc

deny: ## licences, advisories and banned crates (needs cargo-deny)
	$(CARGO) deny check

candidate release hotfix: ## make candidate PRODUCT=DIR VERSION=1.2.0 (and release, hotfix)
	@test -n "$(PRODUCT)" || { echo "say which product: make $@ PRODUCT=DIR VERSION=1.2.0" >&2; exit 2; }
	@scripts/$@ -C "$(PRODUCT)" $(ARGS) $(VERSION)

rollback rehearse status: ## make rollback PRODUCT=DIR (and rehearse, status); options go into ARGS='...'
	@test -n "$(PRODUCT)" || { echo "say which product: make $@ PRODUCT=DIR" >&2; exit 2; }
	@scripts/$@ -C "$(PRODUCT)" $(ARGS)

abandon: ## close a run that nobody goes on with: make abandon PRODUCT=DIR RUN=NAME REASON='...'
	@test -n "$(PRODUCT)" && test -n "$(RUN)" && test -n "$(REASON)" || { echo "say make abandon PRODUCT=DIR RUN=NAME REASON='why'" >&2; exit 2; }
	@scripts/abandon -C "$(PRODUCT)" "$(RUN)" "$(REASON)"

plan: ## what a release would do: make plan PRODUCT=DIR VERSION=1.2.0
	@test -n "$(PRODUCT)" || { echo "say which product: make plan PRODUCT=DIR VERSION=1.2.0" >&2; exit 2; }
	@scripts/release -n -C "$(PRODUCT)" $(ARGS) $(VERSION)

install: build ## programs, runbooks, manual pages and completions under PREFIX
	scripts/install "$(DESTDIR)$(PREFIX)" $(PROGRAMS) -- $(RUNBOOKS)

dist: ## a static archive for this machine's architecture, with its SHA-256 (needs rustup's musl target)
	@scripts/dist $(TARGET)

print-%:
	@echo $($*)

clean: ## remove what was built
	$(CARGO) clean
