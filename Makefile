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

# TSAN=1: ThreadSanitizer, likewise. Blocks are interpreted: what it cannot see in
# translated code it would take for races, and its run time uses vector registers.
ifdef TSAN
BUILD := $(BUILD)-tsan
SAN_FLAGS := -fsanitize=thread -Wno-tsan -DCONFIG_TSAN=1
OPT := -O1 -g
SAN := tsan
endif

WARN := -Wall -Wextra -Wno-unused-parameter
CFLAGS_ALL = -std=gnu11 $(OPT) $(WARN) -I$(CONFIG_DIR) -I. -I$(BUILD) -include $(CONFIG_DIR)/config.h \
	-pthread $(LIB_CFLAGS) $(SAN_FLAGS) $(USER_CFLAGS)
LDLIBS = -Wl,--build-id -Wl,--as-needed $(LIBS) -pthread -lm

# V=1 shows whole commands
ifndef V
quiet = @printf '  %-4s %s\n' $(1) $@;
endif

# ---- sources ------------------------------------------------------------------

src_util := util/build-id.c util/clock.c util/err.c util/file.c util/guest-symbols.c util/log.c util/lookup.c util/loop.c util/own-file.c util/symbols.c util/words.c
src_tcg := tcg/cache.c tcg/count.c tcg/dead.c tcg/debug.c tcg/disas.c tcg/dump.c tcg/blocks.c tcg/exec.c tcg/make.c tcg/fold.c tcg/group.c tcg/sink.c tcg/interp-alu.c tcg/interp-bits.c \
	tcg/interp.c tcg/ir.c tcg/lockstep.c tcg/memaccess.c tcg/memmask.c tcg/memslow.c tcg/mmu-fill.c tcg/perf.c tcg/profile.c tcg/profile-blocks.c tcg/profile-report.c tcg/returns.c tcg/smp.c tcg/softmmu.c tcg/tb-cache.c tcg/tb-store.c tcg/trace.c tcg/verify.c trace/file.c trace/sum.c
src_tcg_x86_64 := tcg/host-x86_64/backend.c tcg/host-x86_64/cross.c tcg/host-x86_64/profile.c tcg/host-x86_64/flags.c tcg/host-x86_64/leave.c tcg/host-x86_64/gen-alu.c \
	tcg/host-x86_64/gen-ctl.c tcg/host-x86_64/gen-jump.c tcg/host-x86_64/gen-mem.c tcg/host-x86_64/loop.c tcg/host-x86_64/gen-move.c \
	tcg/host-x86_64/gen-shift.c tcg/host-x86_64/gen.c tcg/host-x86_64/mem.c tcg/host-x86_64/regs.c tcg/host-x86_64/reloc.c \
	tcg/host-x86_64/rep.c tcg/host-x86_64/thunks.c tcg/host-x86_64/vec.c tcg/host-x86_64/vecstate.c
src_tcg_aarch64 := tcg/host-none/backend.c
src_target := target-x86/cpuid.c target-x86/cr.c target-x86/debug.c target-x86/decode.c target-x86/desc.c \
	target-x86/evex-approx.c target-x86/evex-cvt.c target-x86/evex-fp.c target-x86/evex-int.c \
	target-x86/evex-mask.c target-x86/evex-perm.c target-x86/evex.c target-x86/excp-stack.c \
	target-x86/excp.c target-x86/far.c target-x86/flags-sys.c target-x86/fpu-state.c target-x86/quick.c target-x86/service.c \
	target-x86/gather.c target-x86/insn-table.c target-x86/log.c target-x86/misc.c target-x86/mmu.c \
	target-x86/model.c target-x86/model-feature.c target-x86/model-table.c target-x86/msr.c target-x86/pv.c target-x86/pv-smp.c target-x86/raise.c \
	target-x86/reset.c target-x86/seg.c target-x86/string.c target-x86/syscall.c \
	target-x86/target.c target-x86/task.c target-x86/tr-alu.c target-x86/tr-bits.c target-x86/tr-control.c target-x86/tr-flags.c \
	target-x86/tr-fpu.c target-x86/tr-mem.c target-x86/tr-move.c target-x86/tr-raise.c \
	target-x86/tr-shift.c target-x86/tr-simd.c target-x86/tr-stack.c target-x86/tr-string.c \
	target-x86/tr-system.c target-x86/translate.c target-x86/vec-crypto.c target-x86/vec-fp.c \
	target-x86/vec-gf.c target-x86/vec-int.c target-x86/vec-str.c target-x86/vec.c \
	target-x86/x87-func.c target-x86/x87-soft.c target-x86/x87-stack.c target-x86/x87-trans.c target-x86/x87.c \
	target-x86/words.c target-x86/xsave.c
src_kvm_x86_64 := accel/kvm.c accel/kvm-bell.c accel/kvm-cpuid.c accel/kvm-debug.c accel/kvm-exit.c accel/kvm-irq.c \
	accel/kvm-mem.c accel/kvm-msi.c accel/kvm-probe.c accel/kvm-state.c accel/kvm-verify.c
src_kvm_aarch64 := accel/kvm-none.c
src_accel := accel/accel.c accel/boot.c accel/bt-bus.c accel/bt-debug.c accel/bt-hash.c accel/bt-icount.c accel/bt-map.c accel/bt-phys.c \
	accel/bt-profile.c accel/bt-pv.c accel/bt-trace.c accel/bt-verify.c accel/bt.c accel/icount.c accel/run.c accel/state.c accel/switch.c accel/tsc.c accel/vcpu.c $(src_kvm_$(HOST_CPU))
src_hw := hw/device.c hw/dirty.c hw/doorbell.c hw/ioport.c hw/irq.c hw/machine.c hw/memory.c hw/outside.c hw/pc.c hw/prop.c hw/ram.c \
	hw/user-devices.c hw/acpi/pci-hotplug.c hw/acpi/piix4-pm.c hw/acpi/pm.c hw/acpi/publish.c hw/acpi/smb.c \
	hw/acpi/smbios.c hw/acpi/tables.c hw/boot/board.c hw/boot/boot-order.c hw/boot/bzimage.c \
	hw/boot/direct.c hw/boot/elf.c hw/boot/firmware.c \
	hw/boot/linux-fw.c hw/boot/linux.c hw/boot/multiboot.c hw/boot/pvh.c hw/char/debugcon.c \
	hw/char/uart16550.c hw/disk/ahci-cmd.c hw/disk/ahci.c hw/disk/ata.c hw/disk/atapi.c \
	hw/disk/drive.c hw/disk/fdc.c hw/disk/fdc-cmd.c hw/disk/ide-atapi.c hw/disk/ide-cmd.c hw/disk/ide-disk.c \
	hw/disk/ide-dma.c hw/disk/ide.c hw/disk/nvme-admin.c hw/disk/nvme-cmd.c hw/disk/nvme.c hw/disk/pflash.c hw/disk/scsi.c \
	hw/display/console.c hw/display/vga-draw.c hw/display/vga-edid.c hw/display/vga-mem.c \
	hw/display/vga-pci.c hw/display/vga-text.c hw/display/vga-vbe.c hw/display/vga.c hw/dma/i8237.c \
	hw/dma/sg.c hw/input/i8042.c hw/input/input.c hw/input/ps2.c hw/intc/apic-msg.c hw/intc/i8259.c hw/intc/ioapic.c \
	hw/intc/lapic-pv.c hw/intc/lapic-regs.c hw/intc/lapic-state.c hw/intc/lapic-timer.c hw/intc/lapic.c hw/intc/vcpu-intr.c hw/iommu/vtd-intr.c \
	hw/iommu/vtd-queue.c hw/iommu/vtd-walk.c hw/iommu/vtd.c hw/misc/edu.c hw/misc/fw_cfg.c \
	hw/misc/isa_debug_exit.c hw/misc/pc_testdev.c hw/misc/port92.c hw/misc/rng.c hw/net/e1000-phy.c \
	hw/net/e1000-rx.c hw/net/e1000-tx.c hw/net/e1000.c hw/net/eeprom93.c hw/net/ne2000.c hw/net/nic.c \
	hw/net/rtl8139-rx.c hw/net/rtl8139-tx.c hw/net/rtl8139.c hw/pci/host.c hw/pci/i440fx.c hw/pci/ich9-lpc.c \
	hw/pci/ich9-smb.c hw/pci/mch.c hw/pci/msi.c \
	hw/pci/pci.c hw/pci/piix3.c hw/pci/bridge.c hw/pci/root-port.c hw/timer/hpet.c hw/timer/i8254.c hw/timer/mc146818.c \
	hw/usb/bus.c hw/usb/core.c hw/usb/hid-keys.c hw/usb/hid.c hw/usb/hub.c hw/usb/storage.c hw/usb/uhci-sched.c hw/usb/uhci.c \
	hw/usb/xhci-cmd.c hw/usb/xhci-event.c hw/usb/xhci-port.c hw/usb/xhci-regs.c hw/usb/xhci-ring.c hw/usb/xhci-xfer.c hw/usb/xhci.c \
	hw/virtio/virtio-balloon.c hw/virtio/virtio-blk.c hw/virtio/virtio-net.c hw/virtio/virtio-net-ctrl.c hw/virtio/virtio-pci.c hw/virtio/virtio-rng.c hw/virtio/virtio-serial.c hw/virtio/virtio-serial-port.c hw/virtio/virtio.c \
	hw/virtio/virtqueue.c
src_block := block/block.c block/ctx.c block/fault.c block/file.c block/iov.c block/lock.c \
	block/node.c block/opts.c block/qcow2-alloc.c block/qcow2-bitmap.c block/qcow2-cache.c block/qcow2-check.c \
	block/qcow2-comp.c block/qcow2-create.c block/qcow2-io.c block/qcow2-snap.c block/qcow2-write.c \
	block/qcow2.c block/range.c block/raw.c block/vdi.c block/vmdk.c block/vpc.c
src_net := net/announce.c net/backend.c net/dgram.c net/dump.c net/hub.c net/net.c net/offload.c net/sock.c \
	net/stream.c net/tap.c net/user-opts.c net/user-smb.c net/user.c
src_ui = $(src_vnc) $(src_sdl) ui/picture.c ui/keymap.c ui/monitor-display.c ui/display.c ui/chardev.c ui/chr-addr.c ui/chr-file.c ui/chr-mux.c ui/chr-open.c ui/chr-ringbuf.c \
	ui/chr-socket.c ui/chr-telnet.c ui/chr-tty.c ui/json.c ui/json-parse.c ui/console.c ui/disks.c \
	ui/gdb-cmd.c ui/gdb-mem.c ui/gdb-open.c ui/gdb-packet.c ui/gdb-query.c ui/gdb-regs.c ui/gdb-run.c ui/gdb-xml.c \
	ui/gdb.c ui/help.c \
	ui/build.c ui/command.c ui/commands.c ui/kv.c ui/monitor-accel.c ui/monitor-basic.c ui/monitor-bus.c ui/monitor-complete.c \
	ui/monitor-cpu.c ui/monitor-device.c ui/monitor-disk.c ui/monitor-line.c ui/monitor-state.c ui/monitor-machine.c ui/monitor-mem.c ui/monitor-table.c ui/monitor-trace.c \
	ui/monitor.c ui/network.c ui/opt-chardev.c ui/opt-debug.c ui/opt-device.c ui/opt-drive.c ui/opt-global.c ui/opt-net.c ui/opt-object.c ui/qmp.c ui/qmp-balloon.c ui/qmp-block.c ui/qmp-capture.c \
	ui/qmp-char.c ui/qmp-cpu.c ui/qmp-input.c ui/qmp-job.c ui/qmp-memory.c ui/qmp-net.c ui/qmp-node.c ui/qmp-object.c ui/qmp-qom.c ui/qmp-query.c ui/qmp-schema.c ui/qmp-snapshot.c ui/qmp-vnc.c \
	ui/opt-values.c ui/options.c ui/run.c
src_main := ui/main.c
ifeq ($(HAVE_VNC),yes)
src_vnc := ui/vnc.c ui/vnc-client.c ui/vnc-info.c ui/vnc-open.c
endif
ifeq ($(HAVE_SDL),yes)
src_sdl := ui/sdl.c
endif
src_img := block/tool/bench.c block/tool/chain.c block/tool/convert.c block/tool/create.c \
	block/tool/info.c block/tool/main.c

srcs = $(src_util) $(src_tcg) $(src_tcg_$(HOST_CPU)) $(src_target) $(src_accel) $(src_hw) \
	$(src_net) $(src_ui)
block_objs = $(src_block:%.c=$(BUILD)/%.o)

# Code that runs while the host's vector registers hold the guest's: page walks,
# the slow path of guest memory accesses, IRCALL_NOVEC helpers. The compiler must
# not use vector registers there, neither itself nor through a copy in libc; and
# sanitizers, which call their own run time, stay out.
novec := tcg/count.c tcg/debug.c tcg/returns.c tcg/softmmu.c tcg/mmu-fill.c tcg/memaccess.c tcg/memmask.c tcg/memslow.c tcg/blocks.c tcg/exec.c tcg/make.c tcg/profile.c tcg/smp.c tcg/host-x86_64/leave.c tcg/host-x86_64/profile.c tcg/host-x86_64/vecstate.c target-x86/mmu.c target-x86/quick.c target-x86/raise.c target-x86/target.c \
	target-x86/cr.c target-x86/desc.c target-x86/excp.c target-x86/far.c target-x86/flags-sys.c target-x86/misc.c target-x86/msr.c target-x86/seg.c target-x86/string.c target-x86/syscall.c \
	hw/memory.c accel/bt-phys.c accel/tsc.c
ifndef TSAN
novec_flags_x86_64 := -mgeneral-regs-only -minline-all-stringops \
	-mmemcpy-strategy=unrolled_loop:256:noalign,rep_byte:-1:noalign \
	-mmemset-strategy=unrolled_loop:256:noalign,rep_byte:-1:noalign \
	-fno-sanitize=all
endif
# The translator clears and copies much that is 100 to 400 bytes, where REP STOS has not got going yet.
ifndef SAN
translator_flags_x86_64 := -mmemcpy-strategy=vector_loop:512:noalign,libcall:-1:noalign \
	-mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign
endif
own_flags = $(if $(filter $1,$(novec)),$(novec_flags_$(HOST_CPU)),$(if $(filter tcg/% target-x86/%,$1),$(translator_flags_$(HOST_CPU))))

objs = $(srcs:%.c=$(BUILD)/%.o)
main_objs = $(src_main:%.c=$(BUILD)/%.o)
img_objs = $(src_img:%.c=$(BUILD)/%.o)
src_trace_tool := trace/sum.c trace/tool/calls.c trace/tool/coverage.c trace/tool/diff.c trace/tool/export.c \
	trace/tool/main.c trace/tool/print.c trace/tool/reader.c trace/tool/show.c trace/tool/stats.c
trace_objs = $(src_trace_tool:%.c=$(BUILD)/%.o)

# ---- targets --------------------------------------------------------------------

ifeq ($(CROSS)$(SAN),no)
transom := transom
transom_img := transom-img
transom_trace := transom-trace
else
transom = $(BUILD)/transom
transom_img = $(BUILD)/transom-img
transom_trace = $(BUILD)/transom-trace
endif

.PHONY: all check check-golden golden check-disk check-disk-kill check-all check-unit check-insn check-fuzz check-ifuzz \
	fuzz-insn fuzz-code fuzz-board fuzz-disks fuzz-frames fuzz-gdb fuzz-usb fuzz-xhci fuzz-monitor fuzz-trace fuzz-vnc fuzz-vser check-display check-guest check-real check-net check-net-long check-lists check-smp check-litmus smp-torture bench-smp check-switch check-threads check-cross \
	check-cross-run demo bench bench-disk bench-net bench-programs bench-events bench-diff block-stress clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(transom) $(if $(src_img),$(transom_img)) $(transom_trace)

$(transom): $(objs) $(block_objs) $(main_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

$(transom_img): $(img_objs) $(block_objs) $(src_util:%.c=$(BUILD)/%.o)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

$(transom_trace): $(trace_objs) $(src_util:%.c=$(BUILD)/%.o)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS) $(DW_LIBS)

$(CONFIG_DIR)/config.mk: configure
	./configure $(CONFIGURE_ARGS) --config-dir=$(CONFIG_DIR)
$(CONFIG_DIR)/config.h: $(CONFIG_DIR)/config.mk ;

$(BUILD)/%.o: %.c $(CONFIG_DIR)/config.mk $(CONFIG_DIR)/config.h
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(CFLAGS_ALL) $(call own_flags,$<) -MMD -MP -c $< -o $@

# ---- generated -------------------------------------------------------------------

$(BUILD)/slots.asl: hw/acpi/slots.sh
	@mkdir -p $(@D)
	$(call quiet,GEN)sh $< > $@

$(BUILD)/%.aml: hw/acpi/%.asl hw/acpi/isa.asl hw/acpi/link.asl hw/acpi/system.asl $(BUILD)/slots.asl
	@mkdir -p $(@D)
	$(call quiet,IASL)iasl -va -I hw/acpi -I $(BUILD) -p $(BUILD)/$* $< > $(BUILD)/$*.log || { cat $(BUILD)/$*.log; false; }

$(BUILD)/%.aml.h: $(BUILD)/%.aml hw/acpi/aml2c.sh
	$(call quiet,GEN)sh hw/acpi/aml2c.sh $(subst -,_,$*)_aml $< > $@

# option ROMs: 16-bit code at offset 0, finished by mkrom.sh
$(BUILD)/roms/%.bin: roms/%.S
	@mkdir -p $(@D)
	$(call quiet,AS)$(X86_AS) --32 -o $(@:.bin=.o) $<
	@$(X86_LD) -m elf_i386 -Ttext=0 --oformat binary -o $@ $(@:.bin=.o)

$(BUILD)/linuxboot.rom.h: $(BUILD)/roms/linuxboot/linuxboot.bin roms/mkrom.sh hw/acpi/aml2c.sh
	$(call quiet,GEN)sh roms/mkrom.sh $< $(BUILD)/linuxboot.rom
	@sh hw/acpi/aml2c.sh linuxboot_rom $(BUILD)/linuxboot.rom > $@

$(BUILD)/probe.rom.h: $(BUILD)/roms/probe/probe.bin hw/acpi/aml2c.sh
	$(call quiet,GEN)sh hw/acpi/aml2c.sh probe_rom $< > $@

$(BUILD)/accel/kvm-probe.o: $(BUILD)/probe.rom.h
$(BUILD)/hw/acpi/tables.o: $(BUILD)/dsdt.aml.h $(BUILD)/dsdt-q35.aml.h
$(BUILD)/hw/boot/linux-fw.o: $(BUILD)/linuxboot.rom.h

# ---- tests ------------------------------------------------------------------------

# Unit tests: every Criterion file below tests/, in one program
kvm_tests := $(if $(filter x86_64,$(HOST_CPU)),tests/accel/kvm.c)
test_srcs := tests/util/clock.c tests/util/err.c tests/util/file.c tests/util/guest_symbols.c tests/util/log.c tests/util/lookup.c tests/util/loop.c tests/util/own_file.c \
	tests/util/words.c tests/tcg/cache.c tests/tcg/dead.c tests/tcg/fold.c tests/tcg/group.c tests/tcg/sink.c tests/tcg/interp.c tests/tcg/ir.c tests/tcg/maps.c \
	tests/tcg/smp.c tests/tcg/tb_store.c tests/tcg/verify.c tests/target-x86/count.c tests/target-x86/cpuid.c tests/target-x86/decode.c \
	tests/target-x86/cvt_half.c tests/target-x86/decode_simd.c tests/target-x86/decode_evex.c tests/target-x86/evex_exec.c tests/target-x86/evex_known.c \
	tests/target-x86/excp.c tests/target-x86/fpu_state.c tests/target-x86/quick.c tests/target-x86/limits.c tests/target-x86/misc.c \
	tests/target-x86/mmu.c tests/target-x86/models.c tests/target-x86/msr.c \
	tests/target-x86/native.c tests/target-x86/cross.c tests/target-x86/loops.c tests/target-x86/stack.c tests/target-x86/rip.c tests/target-x86/owed.c tests/target-x86/rep.c tests/target-x86/returns.c tests/target-x86/native_simd.c tests/target-x86/perf.c tests/target-x86/profile.c tests/target-x86/seg.c tests/target-x86/segments.c \
	tests/target-x86/string.c tests/target-x86/suite.c tests/target-x86/task.c tests/target-x86/tb_cache.c \
	tests/target-x86/tr_simd.c tests/target-x86/translate.c tests/target-x86/vec_exec.c \
	tests/target-x86/x87_exec.c tests/accel/bt.c $(kvm_tests) tests/accel/state.c tests/target-x86/pv.c tests/accel/icount.c tests/accel/outside.c tests/trace/reader.c tests/hw/acpi.c tests/hw/ahci.c tests/hw/debugcon.c \
	tests/hw/drive.c tests/hw/e1000.c tests/hw/fdc.c tests/hw/fw_cfg.c tests/hw/hotplug.c tests/hw/hpet.c \
	tests/hw/i8042.c tests/hw/i8237.c tests/hw/i8254.c tests/hw/i8259.c tests/hw/ide.c \
	tests/hw/ioapic.c tests/hw/ioport.c tests/hw/lapic.c tests/hw/linuxboot.c tests/hw/memory.c \
	tests/hw/multiboot.c tests/hw/ne2000.c tests/hw/nic.c tests/hw/nvme.c tests/hw/pc.c tests/hw/pci.c \
	tests/hw/pflash.c tests/hw/piix.c tests/hw/port92.c tests/hw/q35.c tests/hw/rtc.c \
	tests/hw/root_port.c tests/hw/rtl8139.c tests/hw/sg.c \
	tests/hw/scsi.c tests/hw/uart16550.c tests/hw/usb.c tests/hw/usb_storage.c tests/hw/vga.c tests/hw/vga_draw.c tests/hw/vtd.c tests/hw/virtio_balloon.c tests/hw/virtio_blk.c tests/hw/virtio_net.c tests/hw/virtio_rng.c tests/hw/virtio_serial.c tests/hw/xhci.c \
	tests/block/block.c tests/block/crash.c tests/block/harness.c tests/block/mutate.c \
	tests/block/oracle.c tests/block/tool.c tests/net/backend.c tests/net/net.c tests/ui/chardev.c \
	tests/ui/chardev_open.c tests/ui/command.c tests/ui/gdb.c tests/ui/json.c tests/ui/kv.c tests/ui/monitor.c tests/ui/opt_drive.c tests/ui/options.c
capstone_tests := $(addprefix tests/target-x86/,decode.c decode_simd.c decode_evex.c tr_simd.c)
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
ifeq ($(HAVE_CRITERION)$(TSAN),yes)   # Criterion itself does not live with the thread sanitizer
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

$(BUILD)/tests/unit: $(test_objs) $(objs) $(block_objs) $(BUILD)/trace/tool/reader.o
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(test_libs) $(LDLIBS)

check-unit: $(BUILD)/tests/unit
	@test -z "$(left_out)" || echo "not run here: $(left_out)"
	$(emulator) $< $(test_run)

# Instruction tests: tests/insn/ is a program that runs every row of the table
insn_srcs := tests/insn/case-file.c tests/insn/expected.c tests/insn/flags.c tests/insn/gen-case.c tests/insn/gen.c \
	tests/insn/guest.c tests/insn/main.c tests/insn/native.c
insn_objs = $(insn_srcs:%.c=$(BUILD)/%.o)
$(BUILD)/tests/insn/insn: $(insn_objs) $(objs) $(block_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

ifneq ($(insn_srcs),)
check-insn: $(BUILD)/tests/insn/insn
	$(emulator) $< -rows $(BUILD)/tests/insn/rows
	$(if $(filter x86_64no,$(HOST_CPU)$(CROSS)),$(if $(TSAN),,$< -kept -count 12 -sequences 1000))
else
check-insn: ;
endif

# Random guest code, random register accesses: a short run always the same, and as
# long as one likes
ifeq ($(HAVE_VNC),yes)
fuzz_vnc := tests/fuzz/vnc.c
endif
ifeq ($(HAVE_JANSSON),yes)
fuzz_monitor := tests/fuzz/monitor.c
endif
fuzz_srcs := $(fuzz_vnc) $(fuzz_monitor) tests/fuzz/board.c tests/fuzz/code.c tests/fuzz/disks.c tests/fuzz/frames.c tests/fuzz/gdb.c tests/fuzz/usb.c tests/fuzz/xhci.c tests/fuzz/trace.c tests/fuzz/vser.c
fuzz_objs = $(fuzz_srcs:%.c=$(BUILD)/%.o)
$(BUILD)/tests/fuzz/trace: $(BUILD)/trace/tool/reader.o
$(fuzz_srcs:%.c=$(BUILD)/%): %: %.o $(objs) $(block_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

check-fuzz: $(fuzz_srcs:%.c=$(BUILD)/%) check-ifuzz
	$(emulator) $(BUILD)/tests/fuzz/code
	$(emulator) $(BUILD)/tests/fuzz/board
	$(if $(fuzz_vnc),$(emulator) $(BUILD)/tests/fuzz/vnc)
	$(emulator) $(BUILD)/tests/fuzz/disks
	$(emulator) $(BUILD)/tests/fuzz/gdb
	$(emulator) $(BUILD)/tests/fuzz/frames
	$(emulator) $(BUILD)/tests/fuzz/usb
	$(emulator) $(BUILD)/tests/fuzz/xhci
	$(if $(fuzz_monitor),$(emulator) $(BUILD)/tests/fuzz/monitor)
	$(emulator) $(BUILD)/tests/fuzz/trace
	$(emulator) $(BUILD)/tests/fuzz/vser

# Random sequences against the host CPU
ifuzz_srcs := tests/fuzz/insn/bug.c tests/fuzz/insn/compare.c tests/fuzz/insn/guest.c tests/fuzz/insn/hash.c \
	tests/fuzz/insn/item.c tests/fuzz/insn/item-vec.c tests/fuzz/insn/main.c tests/fuzz/insn/native.c \
	tests/fuzz/insn/seq.c tests/fuzz/insn/shrink.c tests/insn/case-file.c tests/insn/flags.c \
	tests/insn/gen-case.c tests/insn/gen.c
ifuzz_objs = $(ifuzz_srcs:%.c=$(BUILD)/%.o)
$(BUILD)/tests/fuzz/ifuzz: $(ifuzz_objs) $(objs) $(block_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

# the host must be the oracle: x86-64, not emulated, low memory free of a sanitizer's shadow
ifeq ($(HOST_CPU)-$(CROSS)$(SAN),x86_64-no)
check-ifuzz: $(BUILD)/tests/fuzz/ifuzz
	$< --count 60000 --cases $(BUILD)
	$< --count 200000 --mode 64 --seed-bug flag --show 1
	$< --count 200000 --mode 64 --seed-bug shift --show 1
else ifeq ($(HOST_CPU)-$(CROSS)$(SAN),x86_64-yes)
# a wild address would find the sanitizer's shadow (2 GiB to 16 TiB) in the child
check-ifuzz: $(BUILD)/tests/fuzz/ifuzz
	@echo "ifuzz: under a sanitizer: the interpreter in the host CPU's place"
	$< --count 6000 --against interpreter
else
check-ifuzz:
	@echo "ifuzz: skipped, no x86-64 CPU to compare with"
endif

# Host code of short guest sequences, compared with what is stored; "make golden" stores it
golden_cases := moves alu control groups string vector stubs
golden_objs = $(BUILD)/tests/golden/golden.o $(BUILD)/tests/golden/listing.o $(BUILD)/tests/golden/moved.o \
	$(golden_cases:%=$(BUILD)/tests/golden/%.o)
$(golden_cases:%=$(BUILD)/tests/golden/%.o): $(BUILD)/%.o: %.S tests/golden/case.inc
	@mkdir -p $(@D)
	$(call quiet,AS)$(CC) -c $< -o $@
$(BUILD)/tests/golden/golden: $(golden_objs) $(objs) $(block_objs)
	$(call quiet,LD)$(CC) $(SAN_FLAGS) $(OPT) -o $@ $^ $(LDLIBS)

ifeq ($(HOST_CPU)-$(CROSS)$(SAN),x86_64-no)
check-golden: $(BUILD)/tests/golden/golden
	$< tests/golden
golden: $(BUILD)/tests/golden/golden
	$< --write tests/golden
else
check-golden golden:
	@echo "golden: skipped: the host code is x86-64, built without sanitizers"
endif

# COUNT sequences for each code size; what differs is left in tests/insn/cases
COUNT ?= 10000000
SEED ?= $(shell date +%s)
JOBS ?= 1
fuzz-insn: $(BUILD)/tests/fuzz/ifuzz
	$< --count $(COUNT) --seed $(SEED) --jobs $(JOBS) --cases tests/insn/cases

FUZZ_ARGS ?= --seconds 600 --seed $(shell date +%s)000000
fuzz-code fuzz-board fuzz-disks fuzz-frames fuzz-gdb fuzz-usb fuzz-xhci fuzz-monitor fuzz-trace fuzz-vnc fuzz-vser: fuzz-%: $(BUILD)/tests/fuzz/%
	$(emulator) $< $(FUZZ_ARGS)

# Guest tests: firmware images of our own and real kernels, on ./transom
check-guest: $(transom)
	$(MAKE) -C tests/guest BUILD=$(abspath $(BUILD)) X86_CC=$(X86_CC) X86_LD=$(X86_LD)
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run

# The block layer's long tests, in rounds that can be broken off; counts are kept in $(BUILD)/stress
STRESS ?= power:5000 fault:2000 kill:10000 mutate:100000 oracle:1000000
block-stress: $(BUILD)/tests/unit
	for s in $(STRESS); do BUILD=$(BUILD) tests/block/stress.sh $${s%%:*} $${s##*:} || exit 1; done

# Debian on disk from every controller, raw and qcow2: minutes, so not in "check"
check-disk: $(transom) $(transom_img)
	tools/install-deps.sh disk
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run disk-boot ovmf

# The emulator is killed while a guest writes: what was flushed is there, images are sound
check-disk-kill: $(transom)
	tools/install-deps.sh check
	tools/fetch-guest.sh $(BUILD)/demo
	$(python3) tests/guest/disk-kill.py --transom $(abspath $(transom)) --kernel $(BUILD)/demo/vmlinuz \
		--package $(BUILD)/demo/linux-image-*.deb --rounds $(or $(ROUNDS),30) --seed $(or $(SEED),1)

# Real software proves itself, the long list: memory testers, boot loaders, installers
check-real: $(transom)
	tools/install-deps.sh check
	REAL=all TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run real

# A Debian guest with each network card moves NET_MIB over user networking, both ways
check-net: $(transom)
	tools/install-deps.sh check
	NET_MIB=$(or $(NET_MIB),200) TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run net

# Two guests and the host, joined by every kind of network back end (root, for bridge and tap)
check-net-long: $(transom)
	tools/install-deps.sh check net
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run backends

# Several vCPUs, long: a hundred times the rounds of the short run
check-smp: $(transom)
	$(MAKE) -C tests/guest BUILD=$(abspath $(BUILD)) X86_CC=$(X86_CC) X86_LD=$(X86_LD)
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run smp

# Memory ordering between vCPUs: ROUNDS of each test, rounded up to 102400
check-litmus: $(transom)
	rm -rf $(BUILD)/tests/guest/litmus
	$(MAKE) -C tests/guest BUILD=$(abspath $(BUILD)) X86_CC=$(X86_CC) X86_LD=$(X86_LD) \
		LITMUS_ROUNDS=$$((($(or $(ROUNDS),10000000) + 102399) / 102400))
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) VCPUS=$(or $(VCPUS),4) tests/guest/run litmus

# A stock kernel, MINUTES of work that has one right result on VCPUS
smp-torture: $(transom)
	python3 tests/guest/smp-torture.py --minutes $(or $(MINUTES),30) --vcpus $(or $(VCPUS),4) \
		--build $(BUILD) --transom ./$(transom)

# How 8 vCPUs boot beside 2, and two busy vCPUs work beside one; the host has to be quiet
bench-smp: $(transom)
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) bash tests/bench/smp.sh $(or $(RUNS),5)

# The machine's threads under the thread sanitizer: make TSAN=1 check-threads
check-threads: $(BUILD)/tests/unit $(transom)
	for suite in smp bt loop clock machine lapic; do \
		$(emulator) $(BUILD)/tests/unit --filter "$$suite/" || exit 1; done
	$(MAKE) -C tests/guest BUILD=$(abspath $(BUILD)) X86_CC=$(X86_CC) X86_LD=$(X86_LD)
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run smp-interp

# A running program moved between translator and KVM, 1000 times
check-switch: $(transom)
	SWITCHES=$(or $(SWITCHES),1000) TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run switch

# Pictures of real guests, the window and a VNC viewer
check-display: $(transom)
	tools/install-deps.sh check
	TRANSOM=$(abspath $(transom)) BUILD=$(abspath $(BUILD)) tests/guest/run display vnc viewers

# "check" may have to install packages and to configure first, so it starts anew
check:
	tools/install-deps.sh build check
	test -f $(CONFIG_DIR)/config.mk || ./configure --config-dir=$(CONFIG_DIR)
	$(MAKE) check-all
	$(MAKE) check-cross

check-all: all check-unit check-insn check-golden check-fuzz check-guest

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

# QEMU=COMMAND, BOCHS=COMMAND: not those found; empty: none
bench_qemu := $(if $(filter undefined,$(origin QEMU)),,--qemu '$(QEMU)')
bench_bochs := $(if $(filter undefined,$(origin BOCHS)),,--bochs '$(BOCHS)')
bench: bench-programs
	tools/install-deps.sh bench
	tools/fetch-guest.sh $(BUILD)/demo
	tools/debian-disk.sh $(BUILD)/demo/disk || echo "the boot to a login prompt is left out"
	$(python3) tests/bench/run.py --transom $(abspath $(transom)) --build $(BUILD)/bench \
		--kernel $(BUILD)/demo/vmlinuz --busybox $(BUILD)/demo/busybox --disk $(BUILD)/demo/disk/disk.raw \
		--json $(BUILD)/bench/result.json $(bench_qemu) $(bench_bochs) $(BENCH_ARGS)

# Where the time of the programs chosen by BENCH_ARGS goes: BENCH_ARGS='--classes programs --only gcc'
.PHONY: bench-profile bench-tables
bench-profile: bench-programs
	tools/install-deps.sh bench
	tools/fetch-guest.sh $(BUILD)/demo
	$(python3) tests/bench/run.py --transom $(abspath $(transom)) --build $(BUILD)/bench \
		--kernel $(BUILD)/demo/vmlinuz --busybox $(BUILD)/demo/busybox --profile $(BUILD)/bench/profile.txt $(BENCH_ARGS)

# The last results as the tables of docs/performance.md
bench-tables:
	@$(python3) tests/bench/tables.py $(BUILD)/bench/result.json $(wildcard $(BUILD)/bench/events.json)

bench-events: bench-programs
	$(python3) tests/bench/events.py --transom $(abspath $(transom)) --image $(BUILD)/bench/events/events.bin \
		--json $(BUILD)/bench/events.json $(bench_qemu) $(BENCH_ARGS)

# fio on virtio-blk in the guest; BENCH_ARGS=--qemu\ COMMAND for more to compare with
bench-disk: $(transom)
	tools/install-deps.sh bench-disk
	tools/fetch-guest.sh $(BUILD)/demo
	$(python3) tests/bench/disk.py --transom $(abspath $(transom)) --kernel $(BUILD)/demo/vmlinuz \
		--package $(BUILD)/demo/linux-image-*.deb --busybox $(BUILD)/demo/busybox --qemu qemu-system-x86_64 $(BENCH_ARGS)

# iperf3 on virtio-net, user networking and tap, in a network namespace of its own (root)
bench-net: $(transom)
	tools/install-deps.sh bench-net
	tools/fetch-guest.sh $(BUILD)/demo
	$(python3) tests/bench/net.py --transom $(abspath $(transom)) --kernel $(BUILD)/demo/vmlinuz \
		--package $(BUILD)/demo/linux-image-*.deb --busybox $(BUILD)/demo/busybox --qemu qemu-system-x86_64 $(BENCH_ARGS)

NEW ?= $(BUILD)/bench/result.json
bench-diff:
	@test -n "$(OLD)" || { echo "usage: make bench-diff OLD=FILE [NEW=FILE]" >&2; exit 1; }
	$(python3) tests/bench/run.py --diff $(OLD) $(NEW)

clean:
	rm -rf build build-san build-aarch64 build-aarch64-san transom transom-img transom-trace

help:
	@echo "make              build ./transom (runs ./configure when that has not been done)"
	@echo "make demo         boot a stock Debian kernel to a shell; DEMO_CMD='uname -a' runs that"
	@echo "make check        install what is missing, build, run all tests"
	@echo "make check-unit   unit tests          make check-insn   instruction tests"
	@echo "make check-golden host code of short guest sequences, compared; make golden stores it as it is now"
	@echo "make check-fuzz   random guest code and register accesses; make fuzz-code, fuzz-board, fuzz-disks, fuzz-frames, fuzz-gdb, fuzz-usb, fuzz-xhci, fuzz-monitor, fuzz-trace, fuzz-vnc, fuzz-vser: ten minutes (FUZZ_ARGS=)"
	@echo "make check-guest  boots of guests     make check-cross  AArch64 build under qemu-user"
	@echo "make block-stress   the disk tests, a million operations long (STRESS=\"oracle:1000 kill:10\" ...)"
	@echo "make check-litmus  memory ordering between vCPUs (ROUNDS=10000000 VCPUS=4)"
	@echo "make smp-torture  locks, atomics, messages, make -j2 in a Debian guest (MINUTES=30 VCPUS=4)"
	@echo "make bench-smp    boot of 8 vCPUs beside 2, two busy vCPUs beside one (RUNS=5)"
	@echo "make check-smp    several vCPUs, long: lock and litmus tests, changed code, Debian with 64 vCPUs"
	@echo "make check-switch a running guest moved between translator and KVM 1000 times (SWITCHES=)"
	@echo "make check-disk   a Debian on disk boots from IDE, AHCI, virtio-blk, NVMe"
	@echo "make check-disk-kill  SIGKILL under a guest's writes (ROUNDS=30 SEED=1), then qemu-img check"
	@echo "make check-real   memory testers, boot loaders, network boot, installers: all of them"
	@echo "make check-display  pictures of guests, the window, a VNC viewer"
	@echo "make check-net-long  every kind of network back end between two guests and the host"
	@echo "make check-net    200 MiB to and from a guest with each network card"
	@echo "make bench        benchmarks          make bench-diff OLD=FILE  compared with a stored result"
	@echo "make bench-disk   fio on virtio-blk    make bench-net    iperf3 on virtio-net, beside QEMU"
	@echo "make bench-profile  where the time of benchmark programs goes    make bench-tables  results for the documents"
	@echo "make bench-events costs of faults, interrupts, exits; BENCH_ARGS=--help shows the options"
	@echo "make clean        remove what was built"
	@echo "TSAN=1            with the thread sanitizer, interpreting (build-tsan/); make TSAN=1 check-threads"
	@echo "SAN=1             with address and undefined-behaviour sanitizers (build-san/)"

ifdef needs_config
-include $(objs:.o=.d) $(block_objs:.o=.d) $(main_objs:.o=.d) $(img_objs:.o=.d) $(trace_objs:.o=.d) $(test_objs:.o=.d) $(insn_objs:.o=.d) $(fuzz_objs:.o=.d) $(ifuzz_objs:.o=.d) $(BUILD)/tests/golden/golden.d $(BUILD)/tests/golden/listing.d $(BUILD)/tests/golden/moved.d
endif
