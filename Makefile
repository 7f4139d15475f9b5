# Two commands start everything: `make run` and `make test`. Each installs what it lacks, and says so.
TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
SANDBAR := target/$(TRIPLE)/release/sandbar

.PHONY: run test bench check build install

# Runs the main job: a command works in a copy-on-write view, and its changes come back by review.
# `make run CMD="claude"` runs a command of yours over this directory; without CMD a short tour is run.
run: build
	@scripts/tour $(SANDBAR) $(CMD)

test:
	@scripts/setup test
	@cargo xtask test

bench: build
	@scripts/setup bench
	@bench/run $(SANDBAR)
	@bench/preview

check:
	@cargo xtask check

build:
	@scripts/setup run
	@cargo xtask build

# One file; PREFIX may be any directory on your PATH.
PREFIX ?= /usr/local
install: build
	@install -D -m 0755 $(SANDBAR) $(PREFIX)/bin/sandbar
