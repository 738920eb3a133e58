# Transom - build, tests, demo. "make help" lists the targets.

# Targets that must work before ./configure has run
bootstrap := demo check clean help check-cross
ifeq ($(filter $(bootstrap),$(or $(MAKECMDGOALS),all)),)
needs_config := yes
endif

CONFIG_DIR ?= .
ifdef needs_config
include $(CONFIG_DIR)/config.mk
endif

# SAN=1: AddressSanitizer and UndefinedBehaviorSanitizer, in a tree of its own
ifdef SAN
BUILD := $(BUILD)-san
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -DCONFIG_DEBUG=1
OPT := -O1 -g
endif

WARN := -Wall -Wextra -Wno-unused-parameter
CFLAGS_ALL = -std=gnu11 $(OPT) $(WARN) -I$(CONFIG_DIR) -I. -I$(BUILD) -include $(CONFIG_DIR)/config.h \
	-pthread $(LIB_CFLAGS) $(SAN_FLAGS) $(USER_CFLAGS)
LDLIBS = -Wl,--as-needed $(LIBS) -pthread -lm

# V=1 shows whole commands
ifndef V
quiet = @printf '  %-4s %s\n' $(1) $@;
endif

# ---- sources ------------------------------------------------------------------

src_util := $(wildcard util/*.c)
src_tcg := $(filter-out tcg/host-none.c,$(wildcard tcg/*.c))
src_tcg_x86_64 := $(wildcard tcg/host-x86_64/*.c)
src_tcg_aarch64 := $(wildcard tcg/host-none/*.c)
src_target := $(wildcard target-x86/*.c)
src_accel := $(wildcard accel/*.c)
src_hw := $(wildcard hw/*.c hw/*/*.c)
src_block := $(wildcard block/*.c)
src_net := $(wildcard net/*.c)
src_ui := $(filter-out ui/main.c,$(wildcard ui/*.c))
src_main := $(wildcard ui/main.c)
src_img := $(wildcard block/tool/*.c)

srcs = $(src_util) $(src_tcg) $(src_tcg_$(HOST_CPU)) $(src_target) $(src_accel) $(src_hw) \
	$(src_net) $(src_ui)
block_objs = $(src_block:%.c=$(BUILD)/%.o)

# Code that runs while the host's vector registers hold the guest's: page walks,
# the slow path of guest memory accesses, IRCALL_NOVEC helpers. The compiler must
# not use vector registers there, neither itself nor through a copy in libc; and
# sanitizers, which call their own run time, stay out.
novec := tcg/softmmu.c tcg/memaccess.c tcg/exec.c tcg/host-x86_64/vecstate.c target-x86/mmu.c target-x86/raise.c target-x86/target.c \
	target-x86/string.c target-x86/helper-novec.c hw/memory.c accel/bt-phys.c
novec_flags_x86_64 := -mgeneral-regs-only -minline-all-stringops \
	-mmemcpy-strategy=rep_byte:-1:noalign -mmemset-strategy=rep_byte:-1:noalign \
	-fno-sanitize=all

objs = $(srcs:%.c=$(BUILD)/%.o)
main_objs = $(src_main:%.c=$(BUILD)/%.o)
img_objs = $(src_img:%.c=$(BUILD)/%.o)

# ---- targets --------------------------------------------------------------------

ifeq ($(CROSS)$(SAN),no)
transom := transom
transom_img := transom-img
else
transom = $(BUILD)/transom
transom_img = $(BUILD)/transom-img
endif

.PHONY: all check check-disk check-all check-unit check-insn check-fuzz fuzz-code fuzz-board check-guest check-lists check-cross \
	check-cross-run demo bench bench-programs bench-events bench-diff block-stress clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(transom) $(if $(src_img),$(transom_img))

$(transom): $(objs) $(block_objs) $(main_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

$(transom_img): $(img_objs) $(block_objs) $(src_util:%.c=$(BUILD)/%.o)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

$(CONFIG_DIR)/config.mk: configure
	./configure $(CONFIGURE_ARGS) --config-dir=$(CONFIG_DIR)
$(CONFIG_DIR)/config.h: $(CONFIG_DIR)/config.mk ;

$(BUILD)/%.o: %.c $(CONFIG_DIR)/config.mk $(CONFIG_DIR)/config.h
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(CFLAGS_ALL) $(if $(filter $<,$(novec)),$(novec_flags_$(HOST_CPU))) -MMD -MP -c $< -o $@

# ---- generated -------------------------------------------------------------------

$(BUILD)/dsdt.aml: hw/acpi/dsdt.asl
	@mkdir -p $(@D)
	$(call quiet,IASL)iasl -va -p $(BUILD)/dsdt $< > $(BUILD)/dsdt.log || { cat $(BUILD)/dsdt.log; false; }

$(BUILD)/dsdt.aml.h: $(BUILD)/dsdt.aml hw/acpi/aml2c.sh
	$(call quiet,GEN)sh hw/acpi/aml2c.sh dsdt_aml $< > $@

# option ROMs: 16-bit code at offset 0, finished by mkrom.sh
$(BUILD)/roms/%.bin: roms/%.S
	@mkdir -p $(@D)
	$(call quiet,AS)$(X86_AS) --32 -o $(@:.bin=.o) $<
	@$(X86_LD) -m elf_i386 -Ttext=0 --oformat binary -o $@ $(@:.bin=.o)

$(BUILD)/linuxboot.rom.h: $(BUILD)/roms/linuxboot/linuxboot.bin roms/mkrom.sh hw/acpi/aml2c.sh
	$(call quiet,GEN)sh roms/mkrom.sh $< $(BUILD)/linuxboot.rom
	@sh hw/acpi/aml2c.sh linuxboot_rom $(BUILD)/linuxboot.rom > $@

$(BUILD)/hw/acpi/tables.o: $(BUILD)/dsdt.aml.h
$(BUILD)/hw/boot/linux-fw.o: $(BUILD)/linuxboot.rom.h

# ---- tests ------------------------------------------------------------------------

# Unit tests: every Criterion file below tests/, in one program
test_srcs := $(wildcard tests/util/*.c tests/tcg/*.c tests/target-x86/*.c tests/accel/*.c \
	tests/hw/*.c tests/block/*.c tests/net/*.c tests/ui/*.c)
capstone_tests := $(addprefix tests/target-x86/,decode.c decode_simd.c tr_simd.c)
ifneq ($(HAVE_CAPSTONE),yes)
test_srcs := $(filter-out $(capstone_tests),$(test_srcs))
left_out := $(capstone_tests) (no Capstone for this host);
endif
# Under user emulation the block layer's tests are left out: they drive the build
# machine's qemu-img, need its zstd, and file locks that the emulation lacks
ifeq ($(CROSS),yes)
test_srcs := $(filter-out tests/block/%,$(test_srcs))
left_out += tests/block (they drive the build machine's qemu-img)
endif
ifeq ($(HAVE_CRITERION),yes)
test_flags = $(CRITERION_CFLAGS)
test_libs = $(CRITERION_LIBS)
test_run = -j2 --timeout 300
else
test_flags = -Itests/mini -Wno-format-zero-length
test_srcs += tests/mini-criterion.c
endif
test_objs = $(test_srcs:%.c=$(BUILD)/%.o)

# a cross build's tests run under user emulation; their libraries are the cross ones
ifeq ($(CROSS),yes)
emulator = $(shell command -v qemu-$(HOST_CPU)-static || echo qemu-$(HOST_CPU)) \
	-L /usr/$(HOST_CPU)-linux-gnu
endif

$(BUILD)/tests/%.o: CFLAGS_ALL += $(test_flags)

$(BUILD)/tests/unit: $(test_objs) $(objs) $(block_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(test_libs) $(LDLIBS)

check-unit: $(BUILD)/tests/unit
	@test -z "$(left_out)" || echo "not run here: $(left_out)"
	$(emulator) $< $(test_run)

# Instruction tests: tests/insn/ is a program that runs every row of the table
insn_srcs := $(wildcard tests/insn/*.c)
insn_objs = $(insn_srcs:%.c=$(BUILD)/%.o)
$(BUILD)/tests/insn/insn: $(insn_objs) $(objs) $(block_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

ifneq ($(insn_srcs),)
check-insn: $(BUILD)/tests/insn/insn
	$(emulator) $<
else
check-insn: ;
endif

# Random guest code, random register accesses: a short run always the same, and as
# long as one likes
fuzz_srcs := $(wildcard tests/fuzz/*.c)
fuzz_objs = $(fuzz_srcs:%.c=$(BUILD)/%.o)
$(BUILD)/tests/fuzz/code $(BUILD)/tests/fuzz/board: %: %.o $(objs) $(block_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

check-fuzz: $(BUILD)/tests/fuzz/code $(BUILD)/tests/fuzz/board
	$(emulator) $(BUILD)/tests/fuzz/code
	$(emulator) $(BUILD)/tests/fuzz/board

FUZZ_ARGS ?= --seconds 600 --seed $(shell date +%s)000000
fuzz-code fuzz-board: fuzz-%: $(BUILD)/tests/fuzz/%
	$(emulator) $< $(FUZZ_ARGS)

# Guest tests: firmware images of our own and real kernels, on ./transom
check-guest: $(transom)
	$(MAKE) -C tests/guest BUILD=$(abspath $(BUILD)) X86_CC=$(X86_CC) X86_LD=$(X86_LD)
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run

# The block layer's long tests: N times as many operations, kills, cuts, mutants
N ?= 20
block-stress: $(BUILD)/tests/unit
	BLOCK_N=$(N) $(emulator) $< --filter 'block_*/*' -j2 --timeout 86400

# Debian on disk from every controller, raw and qcow2: minutes, so not in "check"
check-disk: $(transom) $(transom_img)
	tools/install-deps.sh disk
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run disk-boot

# "check" may have to install packages and to configure first, so it starts anew
check:
	tools/install-deps.sh build check
	test -f $(CONFIG_DIR)/config.mk || ./configure --config-dir=$(CONFIG_DIR)
	$(MAKE) check-all
	$(MAKE) check-cross

check-all: all check-unit check-insn check-fuzz check-guest

cross := aarch64
check-cross:
	tools/install-deps.sh build cross
	./configure --host-cpu=$(cross) --cross-prefix=$(cross)-linux-gnu- --config-dir=build-$(cross)
	$(MAKE) CONFIG_DIR=build-$(cross) check-cross-run

check-cross-run: all check-unit check-insn

# ---- the rest ------------------------------------------------------------------------

demo:
	MAKE="$(MAKE)" DEMO_CMD='$(subst ','\'',$(DEMO_CMD))' tools/demo.sh

# Benchmarks (docs/performance.md): BENCH_ARGS are run.py's options
python3 := PYTHONDONTWRITEBYTECODE=1 python3
bench-programs: all
	@command -v python3 > /dev/null || { echo "benchmarks need python3 (Debian package python3)" >&2; exit 1; }
	$(MAKE) -C tests/bench/guest BUILD=$(abspath $(BUILD)) X86_CC=$(X86_CC)
	$(MAKE) -C tests/bench/events BUILD=$(abspath $(BUILD)) X86_CC=$(X86_CC) X86_LD=$(X86_LD)

bench: bench-programs
	tools/fetch-guest.sh $(BUILD)/demo
	$(python3) tests/bench/run.py --transom $(abspath $(transom)) --build $(BUILD)/bench \
		--kernel $(BUILD)/demo/vmlinuz --busybox $(BUILD)/demo/busybox --json $(BUILD)/bench/result.json $(BENCH_ARGS)

bench-events: bench-programs
	$(python3) tests/bench/events.py --transom $(abspath $(transom)) --image $(BUILD)/bench/events/events.bin \
		--json $(BUILD)/bench/events.json $(BENCH_ARGS)

NEW ?= $(BUILD)/bench/result.json
bench-diff:
	@test -n "$(OLD)" || { echo "usage: make bench-diff OLD=FILE [NEW=FILE]" >&2; exit 1; }
	$(python3) tests/bench/run.py --diff $(OLD) $(NEW)

clean:
	rm -rf build build-san build-aarch64 build-aarch64-san transom transom-img

help:
	@echo "make              build ./transom (runs ./configure when that has not been done)"
	@echo "make demo         boot a stock Debian kernel to a shell; DEMO_CMD='uname -a' runs that"
	@echo "make check        install what is missing, build, run all tests"
	@echo "make check-unit   unit tests          make check-insn   instruction tests"
	@echo "make check-fuzz   random guest code and register accesses; make fuzz-code, fuzz-board: ten minutes (FUZZ_ARGS=)"
	@echo "make check-guest  boots of guests     make check-cross  AArch64 build under qemu-user"
	@echo "make block-stress N=20   the disk tests, N times longer (BLOCK_SEED=... other numbers)"
	@echo "make check-disk   a Debian on disk boots from IDE, AHCI, virtio-blk, NVMe"
	@echo "make bench        benchmarks          make bench-diff OLD=FILE  compared with a stored result"
	@echo "make bench-events costs of faults, interrupts, exits; BENCH_ARGS=--help shows the options"
	@echo "make clean        remove what was built"
	@echo "SAN=1             with address and undefined-behaviour sanitizers (build-san/)"

ifdef needs_config
-include $(objs:.o=.d) $(block_objs:.o=.d) $(main_objs:.o=.d) $(img_objs:.o=.d) $(test_objs:.o=.d) $(insn_objs:.o=.d) $(fuzz_objs:.o=.d)
endif
