# SPDX-License-Identifier: MIT
# doppel: the build. `make help` lists what there is.
# Variables: BUILD=dir (default build), CC=gcc|clang, MODE=release|debug|asan|ubsan|tsan|coverage, V=1 shows commands.
BUILD ?= build
MODE ?= release
-include $(BUILD)/config.mk
ifneq ($(filter command line environment,$(origin CC)),)
CFG_CC := $(CC)
endif
CFG_CC ?= gcc
WARN := -Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wno-missing-field-initializers -Werror
OPT_release := -O2 -g
OPT_debug := -O0 -g -DDEBUG
OPT_asan := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined -DDEBUG
OPT_ubsan := -O1 -g -fsanitize=undefined -fno-sanitize-recover=undefined -DDEBUG
OPT_coverage := -O0 -g --coverage
OPT_tsan := -O1 -g -fsanitize=thread -DDEBUG
ifeq ($(OPT_$(MODE)),)
$(error MODE=$(MODE) is not one of release debug asan ubsan tsan coverage)
endif
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE -I. -I$(BUILD)/gen -fno-strict-aliasing -fwrapv -fno-common -fno-math-errno \
	-ffp-contract=off -DFIRMWARE_PATH='"$(CFG_FIRMWARE)"' $(WARN) $(if $(CFG_TCG_HOST),-DCONFIG_TCG) $(OPT_$(MODE)) $(CFG_CFLAGS) $(CFLAGS)
LIBS_ALL := $(CFG_LIBS) -lz -lm -lpthread
Q := $(if $(V),,@)

# Without a folder in tcg/host for this machine the engine that runs translated code stays out, and its tests.
DIRS := mem mem/base cpu cpu/fpu cpu/simd interp tcg tcg/ir tcg/front tcg/opt \
        $(if $(CFG_TCG_HOST),tcg/host/$(CFG_TCG_HOST) tcg/tb) \
        hw hw/chip hw/pci hw/storage hw/disk hw/video hw/nic hw/input hw/port hw/virtio net ui
SRC := $(foreach d,$(DIRS),$(wildcard $(d)/*.c))
OBJ := $(SRC:%.c=$(BUILD)/%.o)
LIBOBJ := $(filter-out $(BUILD)/ui/main.o,$(OBJ))
# Each tests/{dev,insn,ir}/X.c with a main() is a test program, linked with all of doppel but ui/main; files named
# in TESTLIB are shared by several.
TESTLIB := $(wildcard tests/insn/native*.c tests/insn/lib*.c tests/dev/lib*.c)
TESTSRC := $(filter-out $(TESTLIB) $(if $(CFG_TCG_HOST),,tests/insn/tcg_%.c),$(wildcard tests/dev/*.c tests/insn/*.c tests/ir/*.c tests/fuzz/*.c))
TESTBIN := $(TESTSRC:%.c=$(BUILD)/%)
TESTLIBOBJ := $(TESTLIB:%.c=$(BUILD)/%.o)

.DEFAULT_GOAL := all
all: $(BUILD)/libdoppel.a $(if $(wildcard ui/main.c),$(BUILD)/doppel)

$(BUILD)/config.mk: configure
	@./configure --build=$(BUILD) $(if $(filter command line environment,$(origin CC)),--cc="$(CC)")
$(BUILD)/%.o: %.c $(BUILD)/config.mk
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC $<")
	$(Q)$(CFG_CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(BUILD)/libdoppel.a: $(LIBOBJ)
	@rm -f $@
	$(Q)$(CFG_AR)ar rcs $@ $^
$(BUILD)/doppel: $(BUILD)/ui/main.o $(BUILD)/libdoppel.a
	@echo "  LD $@"
	$(Q)$(CFG_CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS_ALL)
$(BUILD)/tests/%: tests/%.c $(TESTLIBOBJ) $(BUILD)/libdoppel.a
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD $@")
	$(Q)$(CFG_CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d -o $@ $< $(TESTLIBOBJ) $(BUILD)/libdoppel.a $(LIBS_ALL)

tests: $(TESTBIN)
# The whole of the quick tests (minutes), the boots of real systems, and both.
check: all tests
	tests/run --build=$(BUILD) quick
check-boot: all
	tests/guests/deps boot
	tests/run --build=$(BUILD) boot
check-long: all tests
	tests/run --build=$(BUILD) quick boot long
# Fuzz programs (`make fuzz-build`), run SECONDS each (default 60), TARGETS of them (default all): libFuzzer's in build-fuzz,
# with AFL=1 those of AFL++ in build-afl; tests/fuzz/run says where findings are.
SECONDS ?= 60
TARGETS ?= $(notdir $(basename $(wildcard tests/fuzz/*.c)))
FUZZBUILD := $(if $(AFL),build-afl,build-fuzz)
FUZZMAKE := $(if $(AFL),AFL_USE_ASAN=1 AFL_USE_UBSAN=1 AFL_QUIET=1) $(MAKE) BUILD=$(FUZZBUILD) CC=$(if $(AFL),afl-clang-fast,clang)
FUZZFLAGS := $(if $(AFL),,-fsanitize=address,undefined) -fno-sanitize-recover=undefined -O1
fuzz-build:
	-@tests/guests/deps fuzz
	+$(FUZZMAKE) CFLAGS="$(if $(AFL),,-fsanitize=fuzzer-no-link) $(FUZZFLAGS)" all
	+$(FUZZMAKE) CFLAGS="-fsanitize=fuzzer $(FUZZFLAGS) -DFUZZ_ENGINE" $(TARGETS:%=$(FUZZBUILD)/tests/fuzz/%)
# With CASES=n it is the suites of instructions that run, mostly against the host's own processor: n cases of each form, others
# with SEED=n.
SILICON := interp_int tcg_int simd tcg_simd fp ldt tcg_ldt faults tcg_faults tcg_seq
fuzz: $(if $(CASES),tests,fuzz-build)
ifdef CASES
	tests/run --build=$(BUILD) $(SILICON:%=--match=insn/%) quick
else
	@tests/fuzz/run $(if $(AFL),afl,libfuzzer) $(FUZZBUILD) $(SECONDS) $(TARGETS)
endif
# Rows of insn.def by suite, and lines that the quick tests reach (gcov), without boots and lint; each line of cpu/ and
# interp/ that none reaches has its reason in tests/insn/unreached, or the run fails.
coverage:
	$(MAKE) BUILD=build-coverage MODE=coverage all tests
	find build-coverage -name '*.gcda' -delete
	-tests/run --build=build-coverage --skip=tests/boot,tests/lint quick
	tests/insn/coverage build-coverage
bench: all
	tests/guests/deps boot
	tests/bench/run --build=$(BUILD)
	tests/bench/tcg --build=$(BUILD)
	tests/bench/ops --build=$(BUILD)
	tests/bench/points --build=$(BUILD)
	$(if $(OTHERS),tests/bench/others --build=$(BUILD))
demo: deps
	@$(MAKE) --no-print-directory all
	tests/guests/demo --build=$(BUILD)
# Debian packages that are missing here; needs root (or sudo) only if there are any.
deps:
	@tests/guests/deps
format:
	clang-format -i $(SRC) $(wildcard */*.h */*/*.h) $(TESTSRC)
install: all
	install -D -m 755 $(BUILD)/doppel $(DESTDIR)$(CFG_PREFIX)/bin/doppel
	install -D -m 644 ui/doppel.1 $(DESTDIR)$(CFG_PREFIX)/share/man/man1/doppel.1
clean:
	rm -rf $(BUILD)
help:
	@echo "make              build $(BUILD)/doppel        make demo        boot a real Linux to a shell here"
	@echo "make check        quick tests                  make check-boot  boot real systems (many minutes)"
	@echo "make check-long   everything                   make bench       side by side with Bochs and QEMU"
	@echo "make deps         install Debian packages      make install     to $(CFG_PREFIX)"
	@echo "make fuzz         libFuzzer (AFL=1: AFL++)     make coverage    lines and rows reached"
	@echo "make format       clang-format                 make clean"
	@echo "MODE=asan BUILD=build-asan, CC=clang BUILD=build-clang … make variants beside each other"
.PHONY: all tests fuzz fuzz-build coverage check check-boot check-long bench demo deps format install clean help
.SECONDARY:
-include $(OBJ:.o=.d) $(TESTBIN:=.d) $(TESTLIBOBJ:.o=.d)
