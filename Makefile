# SPDX-License-Identifier: BSD-2-Clause
#
# One non-recursive Makefile.  Everything it makes lands in build/VARIANT/; the release variant is
# also reachable as build/shakedown and build/libshakedown.so.  `make help` lists the goals.
#
#   CC=gcc|clang   V=1 shows commands   WERROR=1 turns warnings into errors   T=name runs one test
#   VARIANT=release|asan|tsan|cov

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

-include config.mak

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG   ?= clang
AR      ?= ar
OBJCOPY ?= objcopy
PYTHON  ?= /usr/bin/python3
VARIANT ?= release
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
MANDIR  ?= $(PREFIX)/share/man
PKGDIR  ?= $(LIBDIR)/pkgconfig
VERSION := 0.1.0

B := build/$(VARIANT)
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' $(1) $(2))

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wno-unused-parameter -Wformat=2
ifdef WERROR
WARN += -Werror
endif

SAN.release :=
SAN.asan    := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# The sanitizer does not follow fences; what they order is atomic besides.
SAN.tsan    := -fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan)
SAN.cov     := --coverage
SAN := $(SAN.$(VARIANT))

BASE   := -std=gnu11 -O2 -g -fPIC -I. -I$(B)/gen -D_GNU_SOURCE -DSHAKEDOWN_VERSION='"$(VERSION)"' -DSHAKEDOWN_LIBDIR='"$(LIBDIR)"'
# The guest: freestanding, general registers only, nothing of libc, unwind tables for blame.
GUEST  := $(BASE) $(WARN) -DSHAKEDOWN_GUEST -ffreestanding -mgeneral-regs-only -fno-stack-protector -U_FORTIFY_SOURCE \
	  -fvisibility=hidden -fasynchronous-unwind-tables -fno-common -ffunction-sections -fdata-sections \
	  -fstack-usage
GUEST_LD := -shared -nostdlib -Wl,-z,defs -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack \
	  -Wl,--build-id -Wl,--hash-style=both -Wl,-e,static_entry
HOST   := $(BASE) $(WARN) $(SAN)
HOST_LD := $(SAN)
HOST_LIBS := -ldw -lelf -ljansson -lyaml

# ---- what is built of what -------------------------------------------------------------------------

# model.c and finding are judged later, by the tools; so is most of target: what the doors need is where
# a program makes its calls.
GUEST_SRC := $(wildcard core/mem.c core/fault/*.c core/trace/control.c core/http/*.c core/websocket/*.c core/exchange/phase*.c core/trace/append.c \
	     core/trace/mask*.c core/target/elf.c core/target/go.c core/target/go_sites.c core/target/go_table.c \
	     core/target/site*.c shim/engine/*.c shim/libc/*.c shim/static/*.c shim/patch/*.c shim/go/*.c)
GUEST_ASM := $(wildcard shim/engine/*.S shim/libc/*.S shim/static/*.S shim/patch/*.S shim/go/*.S)
CORE_SRC  := $(filter-out core/mem.c,$(wildcard core/*.c core/*/*.c))
TOOL_SRC  := $(filter-out tools/main.c,$(wildcard tools/*.c tools/*/*.c shim/launch/*.c))

GUEST_OBJ := $(GUEST_SRC:%.c=$(B)/guest/%.o) $(GUEST_ASM:%.S=$(B)/guest/%.o)
CORE_OBJ  := $(CORE_SRC:%.c=$(B)/host/%.o)
TOOL_OBJ  := $(TOOL_SRC:%.c=$(B)/host/%.o)
MAIN_OBJ  := $(B)/host/tools/main.o

LIB  := $(B)/libshakedown.so
TOOL := $(B)/shakedown
TEST_LIB := $(B)/libshakedown-test.a

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT     := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/unit/%)
PROG_SRC := $(wildcard tests/programs/*.c)
PROG     := $(PROG_SRC:tests/programs/%.c=$(B)/tests/programs/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ     := $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/%)

all: $(LIB) $(TOOL) $(TEST_LIB) links compile_commands.json ## build build/shakedown and build/libshakedown.so

# The short names always mean the release variant.
links: $(LIB) $(TOOL) $(TEST_LIB)
ifeq ($(VARIANT),release)
	@ln -sf release/shakedown build/shakedown
	@ln -sf release/libshakedown.so build/libshakedown.so
	@ln -sf release/libshakedown-test.a build/libshakedown-test.a
endif

# ---- objects ---------------------------------------------------------------------------------------

# One entry of compile_commands.json beside each object.
command_json = @printf '{"directory": "%s", "file": "%s", "command": "%s"},\n' '$(CURDIR)' '$<' '$(subst ',,$(subst ",\\\",$(1)))' > $@.json

# Rebuild when the compiler or its flags change.
$(B)/flags: FORCE
	@command -v $(CC) >/dev/null || { echo 'no $(CC) here: make deps installs what is missing' >&2; exit 1; }
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(subst ',,$(GUEST) $(HOST))' > $@.new
	@cmp -s $@.new $@ && rm -f $@.new || mv -f $@.new $@

$(B)/guest/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(call command_json,$(CC) $(GUEST) -c $<)
	$(Q)$(CC) $(GUEST) -MMD -MP -c $< -o $@

$(B)/guest/%.o: %.S $(B)/flags
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(GUEST) -MMD -MP -c $< -o $@

$(B)/host/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(call command_json,$(CC) $(HOST) -c $<)
	$(Q)$(CC) $(HOST) -MMD -MP -c $< -o $@

# ---- products --------------------------------------------------------------------------------------

$(LIB): $(GUEST_OBJ) $(wildcard shim/libc/*.map)
	$(call say,LD,$@)
	$(Q)$(CC) $(GUEST) $(GUEST_LD) -Wl,-soname,libshakedown.so $(GUEST_OBJ) -o $@

# The engine once more, for the seccomp door's supervisor: of its names only those a door may call.
ENGINE_OBJ   := $(patsubst %.c,$(B)/guest/%.o,$(wildcard shim/engine/*.c)) \
		$(patsubst %.S,$(B)/guest/%.o,$(wildcard shim/engine/*.S))
ENGINE_NAMES := engine_start engine_enter engine_exit engine_exec engine_partial \
		engine_subject call_table call_from_nr
$(B)/host/engine.o: $(B)/host/engine-all.o Makefile
	$(Q)$(OBJCOPY) $(ENGINE_NAMES:%=--keep-global-symbol=%) $< $@

$(B)/host/engine-all.o: $(ENGINE_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LD) -r $^ -o $@

$(TOOL): $(MAIN_OBJ) $(TOOL_OBJ) $(B)/host/engine.o $(CORE_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(HOST_LD) $^ -o $@ $(HOST_LIBS)

# A test that is a door of its own sees all names of the engine.
$(B)/tests/unit/test_gate $(B)/tests/unit/test_fault_act: $(B)/tests/unit/%: tests/unit/%.c $(B)/host/engine-all.o $(CORE_OBJ) $(B)/flags
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(HOST) -MMD -MP -MF $@.d $< $(B)/host/engine-all.o $(CORE_OBJ) -o $@ $(HOST_LD) -lcmocka -lpthread

$(filter-out %/test_gate %/test_fault_act,$(UNIT)): $(B)/tests/unit/%: tests/unit/%.c $(TOOL_OBJ) $(B)/host/engine.o $(CORE_OBJ) $(B)/flags
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(HOST) -MMD -MP -MF $@.d $< $(TOOL_OBJ) $(B)/host/engine.o $(CORE_OBJ) -o $@ $(HOST_LD) -lcmocka -lpthread $(if $(findstring differential,$@),-lhttp_parser) $(HOST_LIBS)

# What tests in C link (include/shakedown.h): one object that keeps all names but those of the header to
# itself, and needs nothing but libc.
TEST_LIB_SRC := $(addprefix tools/scenario/,api.c server.c proc.c observe.c) \
		tools/control/control_file.c $(wildcard tools/exchange/*.c) tools/format/calls.c tools/format/escape.c
TEST_LIB_OBJ := $(TEST_LIB_SRC:%.c=$(B)/host/%.o) $(CORE_OBJ)
$(TEST_LIB): $(TEST_LIB_OBJ) Makefile
	$(call say,AR,$@)
	$(Q)$(LD) -r $(TEST_LIB_OBJ) -o $@.o
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='shakedown_*' $@.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $@.o

# Victims and small servers: one file each, -O2 without frame pointers, with line tables.
$(PROG): $(B)/tests/programs/%: tests/programs/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,PROG,$@)
	$(Q)$(CC) -std=gnu11 -O2 -g -fomit-frame-pointer -I. -D_GNU_SOURCE -Wall -Wextra $< -o $@ -lpthread -ldl

# What make bench times: see tests/bench/bench.py.
BENCH_PROGRAMS := $(B)/bench/calls $(B)/bench/idle $(B)/bench/load $(B)/bench/make_trace $(B)/bench/nothing $(B)/bench/libnop.so $(B)/bench/libstub.so

$(B)/bench/lib%.so: tests/bench/%.c $(B)/flags shim/engine/calls.def
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(CC) $(BASE) $(WARN) -fno-builtin -shared $< -o $@ -ldl

$(B)/bench/make_trace: tests/bench/make_trace.c $(CORE_OBJ) $(B)/flags
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(CC) $(HOST) $< $(CORE_OBJ) -o $@

$(B)/bench/nothing: LDFLAGS_OF_BENCH := -static
$(B)/bench/%: tests/bench/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(CC) -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Wextra $(LDFLAGS_OF_BENCH) $< -o $@ -ldl

build/fuzz/%: tests/fuzz/%.c $(CORE_SRC) $(wildcard core/*/*.h core/*/*.def)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) $(BASE) -g -O1 -fsanitize=fuzzer,address,undefined $< $(CORE_SRC) -o $@

# The loader of scenarios is the tools'; what it needs of them is little.
SCENARIO_LOADER := $(addprefix tools/scenario/,yaml.c keys.c values.c load.c check.c rule.c expand.c words.c) \
		   tools/exchange/arena.c tools/format/escape.c tools/verb/value.c tools/verb/nearest.c tools/verb/options.c
build/fuzz/fuzz_scenario: tests/fuzz/fuzz_scenario.c $(SCENARIO_LOADER) $(CORE_SRC) $(wildcard tools/scenario/*.h tools/scenario/*.def core/fault/*.def)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) $(BASE) -g -O1 -fsanitize=fuzzer,address,undefined $< $(SCENARIO_LOADER) $(CORE_SRC) -o $@ -lyaml

# clangd and clang-tidy read this; a source built for both worlds appears as the guest sees it.
compile_commands.json: $(GUEST_OBJ) $(CORE_OBJ) $(TOOL_OBJ) $(MAIN_OBJ)
	@{ echo '['; cat $(sort $(addsuffix .json,$(filter %.o,$(filter-out $(GUEST_ASM:%.S=$(B)/guest/%.o),$^)))) | sed '$$ s/,$$//'; echo ']'; } > $@

# ---- goals -----------------------------------------------------------------------------------------

deps: ## install the Debian packages this project needs (prints them first)
	@sh mk/deps.sh build test

deps-demo:
	@sh mk/deps.sh build demo

# make demo and make test start from a machine with only git and make: packages first, then the rest
# in a second make, which sees what was installed.
demo: deps-demo ## build, watch a real server through a healthy and a spoiled upgrade, print the report
	@$(MAKE) --no-print-directory all programs
	@sh mk/demo.sh

test: deps ## build and run all tests (T=name: only those whose name contains it)
	@$(MAKE) --no-print-directory all unit programs
	@SHAKEDOWN_VARIANT=$(VARIANT) $(PYTHON) tests/run $(if $(T),-k '$(T)')

unit: $(UNIT)
programs: $(PROG) $(B)/bench/load
bench-programs: $(BENCH_PROGRAMS)

check-sanitizers: deps ## unit tests again under ASan/UBSan and TSan
	@$(MAKE) --no-print-directory VARIANT=asan unit
	@SHAKEDOWN_VARIANT=asan $(PYTHON) tests/run --unit-only
	@$(MAKE) --no-print-directory VARIANT=tsan unit
	@SHAKEDOWN_VARIANT=tsan $(PYTHON) tests/run --unit-only

RUN ?= 30
fuzz: $(FUZZ) ## run each libFuzzer target for RUN seconds (default 30)
	@sh mk/fuzz.sh $(RUN) $(FUZZ)

bench: deps ## compare with bare and with other ways to watch: an hour (BENCH=--quick: two minutes)
	@$(MAKE) --no-print-directory all bench-programs
	@$(PYTHON) tests/bench/bench.py $(BENCH)

lint: deps all ## clang-format, clang-tidy, cppcheck, shellcheck, freestanding checks
	@sh mk/lint.sh $(B)

install: all ## install below $(DESTDIR)$(PREFIX)
	@sh mk/install.sh install '$(DESTDIR)' '$(BINDIR)' '$(LIBDIR)' '$(MANDIR)' '$(PKGDIR)' '$(PREFIX)' '$(VERSION)'

uninstall: ## remove what install put there
	@sh mk/install.sh uninstall '$(DESTDIR)' '$(BINDIR)' '$(LIBDIR)' '$(MANDIR)' '$(PKGDIR)' '$(PREFIX)' '$(VERSION)'

clean: ## remove build/
	rm -rf build compile_commands.json

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 28

-include $(shell find $(B) build/fuzz -name '*.d' 2>/dev/null)

FORCE:
.PHONY: all links deps deps-demo demo test unit programs bench-programs check-sanitizers fuzz bench lint install uninstall clean help FORCE
