# The front door. CMake does the work in build/; `make help` lists what there is.
# Variables: PREFIX, DESTDIR (install), JOBS (build), CMAKE_ARGS (e.g. -DWOK_ONEDNN=OFF),
#            MINUTES, ARGS, CORPUS (demo), FUZZ_TIME (seconds for each fuzz program).

PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_TIME ?= 60
CMAKE_ARGS ?=
CLANG ?= $(firstword $(shell for c in clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do command -v $$c; done))
export CMAKE_GENERATOR ?= $(if $(shell command -v ninja),Ninja,Unix Makefiles)

BUILD = cmake --build $(1) -j $(JOBS)
CONFIGURE = cmake --preset $(1) $(CMAKE_ARGS) >/dev/null
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := release
.PHONY: release demo test test-long bench fuzz sanitize check-threads check-memory check-lint check-warnings coverage install setup clean help

release: ## (default) build libwok.a, libwok.so and the wok command in build/release
	@$(call CONFIGURE,release)
	@$(call BUILD,build/release) --target product

setup: ## install the Debian packages that are missing (tools/setup --dev: also those of a developer)
	@tools/setup

demo: ## from raw text to a trained model on this computer; MINUTES=, ARGS=, CORPUS= are passed on
	@tools/setup
	@$(MAKE) release
	@WOK='$(CURDIR)/build/release/wok' tools/demo

test: ## build everything and run all tests except the long ones
	@tools/setup
	@$(call CONFIGURE,release)
	@$(call BUILD,build/release)
	@ctest --test-dir build/release -LE long --output-on-failure -j2

test-long: ## the tests that take many minutes
	@tools/setup
	@$(call CONFIGURE,release)
	@$(call BUILD,build/release)
	@ctest --test-dir build/release -L long --output-on-failure

bench: release ## the numbers we publish, each with its command line
	@WOK='$(CURDIR)/build/release/wok' bench/run

fuzz: ## fuzz every parser for FUZZ_TIME seconds (with libFuzzer if there is clang, else by plain mutation)
ifneq ($(CLANG),)
	@cmake --preset fuzz -DCMAKE_C_COMPILER='$(CLANG)' $(CMAKE_ARGS) >/dev/null
	@$(call BUILD,build/fuzz) --target fuzz_programs
	@tests/fuzz/run build/fuzz $(FUZZ_TIME)
else
	@echo "no clang (tools/setup --dev installs it): plain mutation under the sanitizers instead"
	@$(call CONFIGURE,sanitize)
	@$(call BUILD,build/sanitize) --target fuzz_replays
	@tests/fuzz/run build/sanitize $(FUZZ_TIME)
endif

sanitize: ## unit, operator and fuzz-seed tests under the address and undefined-behaviour sanitizers
	@$(call CONFIGURE,sanitize)
	@$(call BUILD,build/sanitize)
	@ctest --test-dir build/sanitize -L 'unit|ops|fuzz' --output-on-failure -j2

# what runs on several threads, without oneDNN's, which the sanitizer cannot see into
THREADED = base_pool|gemm|attention|vec|optim|rebuild|count|precision|trainer|first_order|ops_fused
check-threads: ## the tests of what runs on several threads under the thread sanitizer
	@cmake --preset threads -DWOK_ONEDNN=OFF $(CMAKE_ARGS) >/dev/null
	@$(call BUILD,build/threads)
	@TSAN_OPTIONS=halt_on_error=1 ctest --test-dir build/threads -R 'unit/test_($(THREADED))' --output-on-failure -j2

check-memory: release ## the unit tests under valgrind (which knows no AMX and no AVX-512: the AVX2 kernels run)
	@$(call BUILD,build/release)
	@command -v valgrind >/dev/null || { echo 'valgrind is missing: tools/setup --dev installs it' >&2; exit 1; }
	@tests/valgrind build/release

check-lint: ## clang-tidy's bugprone and cert checks over the library and the command
	@command -v clang-tidy >/dev/null || { echo 'clang-tidy is missing: tools/setup --dev installs it' >&2; exit 1; }
	@cmake -S . -B build/lint -DCMAKE_C_COMPILER='$(CLANG)' -DCMAKE_EXPORT_COMPILE_COMMANDS=ON $(CMAKE_ARGS) >/dev/null
	@find src -name '*.c' -print0 | xargs -0 -P $(JOBS) -n 8 clang-tidy -p build/lint --quiet --warnings-as-errors='*' 2>/dev/null
	@echo 'nothing to complain of'

check-warnings: ## build with gcc and with clang, warnings being errors
	@test -n '$(CLANG)' || { echo 'clang is missing: tools/setup --dev installs it' >&2; exit 1; }
	@cmake -S . -B build/warnings-gcc -DCMAKE_C_COMPILER=gcc -DWOK_WERROR=ON $(CMAKE_ARGS) >/dev/null
	@$(call BUILD,build/warnings-gcc)
	@cmake -S . -B build/warnings-clang -DCMAKE_C_COMPILER='$(CLANG)' -DWOK_WERROR=ON $(CMAKE_ARGS) >/dev/null
	@$(call BUILD,build/warnings-clang)
	@echo 'no warnings from gcc, none from clang'

coverage: ## run the tests and count the executed lines: build/coverage/html/index.html
	@command -v lcov >/dev/null || { echo 'lcov is missing: tools/setup --dev installs it' >&2; exit 1; }
	@$(call CONFIGURE,coverage)
	@$(call BUILD,build/coverage)
	@lcov --quiet --zerocounters --directory build/coverage
	@ctest --test-dir build/coverage -LE long --output-on-failure -j2
	@lcov --quiet --capture --directory build/coverage --base-directory . --no-external \
	  --output-file build/coverage/all.info
	@lcov --quiet --extract build/coverage/all.info '$(CURDIR)/src/*' --output-file build/coverage/src.info
	@genhtml --quiet --prefix '$(CURDIR)' --output-directory build/coverage/html build/coverage/src.info
	@lcov --summary build/coverage/src.info

install: ## install under PREFIX (default /usr/local), inside DESTDIR if set
	@cmake --preset release -DCMAKE_INSTALL_PREFIX='$(PREFIX)' $(CMAKE_ARGS) >/dev/null
	@$(call BUILD,build/release) --target product
	@DESTDIR='$(DESTDIR)' cmake --install build/release --strip

clean: ## remove build/
	@rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' Makefile
