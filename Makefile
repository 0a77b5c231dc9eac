# doppel: the build. `make`, `make check`, `make help`.
# Variables: BUILD=dir (default build), CC=, MODE=release|debug|asan|ubsan|tsan, V=1 shows commands.
BUILD ?= build
MODE ?= release
-include $(BUILD)/config.mk
CFG_CC ?= $(if $(filter default,$(origin CC)),gcc,$(CC))
ifneq ($(filter command line environment,$(origin CC)),)
CFG_CC := $(CC)
endif
WARN := -Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wno-missing-field-initializers -Werror
OPT_release := -O2 -g
OPT_debug := -O0 -g -DDEBUG
OPT_asan := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined -DDEBUG
OPT_ubsan := -O1 -g -fsanitize=undefined -fno-sanitize-recover=undefined -DDEBUG
OPT_tsan := -O1 -g -fsanitize=thread -DDEBUG
ifeq ($(OPT_$(MODE)),)
$(error MODE=$(MODE) is not one of release debug asan ubsan tsan)
endif
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE -I. -I$(BUILD)/gen -fno-strict-aliasing -fwrapv -fno-common -fno-math-errno $(WARN) $(OPT_$(MODE)) $(CFG_CFLAGS) $(CFLAGS)
LIBS_ALL := $(CFG_LIBS) -lz -lm -lpthread
Q := $(if $(V),,@)

DIRS := mem mem/base cpu cpu/fpu cpu/simd interp tcg tcg/ir tcg/front tcg/opt tcg/host/x64 tcg/tb \
        hw hw/chip hw/pci hw/storage hw/disk hw/video hw/nic hw/input hw/port hw/virtio net ui
SRC := $(foreach d,$(DIRS),$(wildcard $(d)/*.c))
OBJ := $(SRC:%.c=$(BUILD)/%.o)
LIBOBJ := $(filter-out $(BUILD)/ui/main.o,$(OBJ))
# Every tests/*/*.c with a main() is a test program of its own, linked with all of doppel but ui/main.
TESTSRC := $(wildcard tests/dev/*.c tests/insn/*.c tests/ir/*.c)
TESTBIN := $(TESTSRC:%.c=$(BUILD)/%)

.DEFAULT_GOAL := all
all: $(if $(wildcard ui/main.c),$(BUILD)/doppel) $(BUILD)/libdoppel.a

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC $<")
	$(Q)$(CFG_CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(BUILD)/libdoppel.a: $(LIBOBJ)
	@rm -f $@
	$(Q)$(CFG_AR)ar rcs $@ $^
$(BUILD)/doppel: $(BUILD)/ui/main.o $(BUILD)/libdoppel.a
	@echo "  LD $@"
	$(Q)$(CFG_CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS_ALL)
$(BUILD)/tests/%: tests/%.c $(BUILD)/libdoppel.a
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD $@")
	$(Q)$(CFG_CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d -o $@ $< $(BUILD)/libdoppel.a $(LIBS_ALL)
tests: $(TESTBIN)
clean:
	rm -rf $(BUILD)
.PHONY: all tests clean
-include $(OBJ:.o=.d) $(TESTBIN:=.d)
