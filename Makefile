# A thin front over CMake's presets; CMakeLists.txt builds, scripts/ do.
.DEFAULT_GOAL := build
.PHONY: build test quick test-load test-record-day demo lint format asan tsan chaos soak bench bench-peers \
  bench-vision bench-check bench-record bench-soak fuzz wheel deb deb-test release image coverage docs ffmpeg \
  chroot-test install uninstall clean help

PREFIX ?= /usr/local

build: ## build the library and the program (build/cuframes)
	@scripts/install-deps build
	@test -f build/build.ninja || cmake --preset default
	@cmake --build --preset default

test: ## build and run all tests
	@scripts/install-deps test
	@scripts/test default

test-record-day: ## 24 hours of recording in minutes: each packet in exactly one file, every file decoded
	@scripts/install-deps test
	@CUFRAMES_LONG=1 scripts/test default -R cli/record_day

.PHONY: test-python-real
test-python-real: ## the Python package with torch, Ultralytics, Roboflow's pipeline and supervision of PyPI; 7 GB
	@scripts/install-deps test
	@CUFRAMES_PYTHON_REAL=1 scripts/test default -R '^python/'

.PHONY: wall-test
wall-test: ## the wall in Debian's Chromium and Firefox: pictures, colours, order, trouble, delay, memory; ten minutes
	@scripts/install-deps test wall
	@CUFRAMES_BROWSERS=1 scripts/test default -R '^wall/'

.PHONY: fleet-test
fleet-test: ## three machines in network namespaces, killed and cut off; 1000 cameras on 20 agents; root; five minutes
	@scripts/install-deps test
	@$(MAKE) --no-print-directory build
	@tests/fleet/namespaces.py
	@tests/fleet/simulate.py

demo: ## publish a film and let several processes use it (under a minute)
	@scripts/install-deps demo
	@$(MAKE) --no-print-directory build
	@scripts/demo

quick: ## build and run what is tested in about a minute, for every save: unit, api, include rules, headers
	@scripts/install-deps test
	@scripts/test default -L quick

test-load: ## all tests while the machine is busy with something else: none may fail for it
	@scripts/install-deps test
	@scripts/test-load default

lint: ## layout, static checks, include rules, headers, symbols
	@scripts/install-deps lint
	@scripts/lint

format: ## lay out all C files as `make lint` wants them
	@scripts/install-deps lint
	@scripts/format

asan: ## all tests under the address and undefined-behaviour sanitizers
	@scripts/install-deps test
	@scripts/test asan

tsan: ## all tests under the thread sanitizer
	@scripts/install-deps test
	@scripts/test tsan

chaos: ## kill publishers and subscribers at every step and CHAOS_KILLS (10000) times at random, on host and stand-in
	@scripts/install-deps test
	@scripts/chaos

soak: ## all attacks at once beside checked subscribers for SOAK_SECONDS (60); SOAK_PRESET=asan or tsan: sanitized
	@scripts/install-deps test
	@scripts/soak

ffmpeg: ## build FFmpeg VERSION (5.1, 7.1, 8.1) with our filter, device and muxer, and test them (docs/howto/ffmpeg.md)
	@scripts/install-deps test
	@scripts/ffmpeg $(VERSION) > /dev/null
	@CUFRAMES_FFMPEG_VERSION=$(VERSION) scripts/test default -R '^ffmpeg/'

bench: ## measure hand-off, wake-ups and packets; writes docs/benchmarks.md
	@scripts/install-deps bench
	@cmake --preset default -DCUFRAMES_BUILD_TESTS=ON > /dev/null
	@cmake --build --preset default --target cuframes-bench
	@bench/report

bench-peers: ## beside other ways to do the same, those that are installed; writes docs/benchmarks.md; ten minutes
	@scripts/install-deps bench-peers
	@cmake --preset default -DCUFRAMES_BUILD_TESTS=ON > /dev/null
	@cmake --build --preset default --target cuframes-bench-peers cuframes subscribe libcuframes.so
	@bench/peers/run

bench-vision: ## pictures into tensors on one core, beside OpenCV; writes docs/benchmarks.md; two minutes
	@scripts/install-deps bench-vision
	@cmake --preset default -DCUFRAMES_BUILD_TESTS=ON > /dev/null
	@cmake --build --preset default --target libcuframes-vision.so
	@bench/vision --write

bench-check: ## instructions and cache lines of a frame against bench/expected-costs.json; measures no time
	@scripts/install-deps bench-check
	@bench/costs || [ $$? -eq 77 ]

bench-record: ## record what a frame costs now
	@scripts/install-deps bench-check
	@bench/costs --record

bench-soak: ## publish at full speed for SOAK_SECONDS (600) with joins and leaves: memory and descriptors stay flat
	@scripts/install-deps bench
	@cmake --preset default -DCUFRAMES_BUILD_TESTS=ON > /dev/null
	@cmake --build --preset default --target cuframes-bench-soak
	@build/cuframes-bench-soak $(or $(SOAK_SECONDS),600)

fuzz: ## run each fuzz target for FUZZ_SECONDS (60), two at a time
	@scripts/install-deps fuzz
	@scripts/fuzz $(FUZZ_SECONDS)

wheel: ## a wheel of the Python package for any x86-64 Linux, checked and tested, in build/wheels; 500 MB of tools
	@scripts/install-deps wheel
	@scripts/wheel

deb: ## Debian packages for the Debian that runs here, in build/deb, checked by lintian
	@scripts/install-deps deb
	@scripts/deb

deb-test: ## make the packages in bare Debian 12 and 13 (CHROOT_SUITES), install, use, upgrade, purge them; root
	@scripts/install-deps chroot deb
	@scripts/deb-test $(CHROOT_SUITES)

release: ## sources, bill of materials, notes, checksums in build/release; made twice, and built without git
	@scripts/install-deps release
	@scripts/release

image: ## an image for containers in build/image, made and tried without a daemon; as root
	@scripts/install-deps deb chroot image
	@scripts/image

coverage: ## all tests with line and branch coverage; report in build-coverage/coverage/
	@scripts/install-deps coverage
	@if [ -d build-coverage ]; then find build-coverage -name '*.gcda' -delete; fi # the counts of earlier runs
	@scripts/test coverage
	@scripts/coverage

docs: ## API pages from the headers into build/docs/html (doxygen)
	@scripts/install-deps docs
	@mkdir -p build/docs
	@doxygen docs/Doxyfile

chroot-test: ## `make test` and `make demo` in bare Debian 12, 13 and sid (CHROOT_SUITES), as root; takes an hour
	@scripts/install-deps chroot
	@scripts/chroot-test $(CHROOT_SUITES)

install: ## install to PREFIX (/usr/local); DESTDIR is honoured
	@test -f build/libcuframes.so || $(MAKE) --no-print-directory build
	@scripts/install "$(PREFIX)"

uninstall: ## remove from PREFIX (/usr/local) what `make install` put there
	@test -f build/libcuframes.so || $(MAKE) --no-print-directory build
	@scripts/install --remove "$(PREFIX)"

clean: ## remove all build trees and the demo's output
	@rm -rf build build-asan build-tsan build-coverage build-fuzz demo-out

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 13
