/*
 * excp-int.h - between excp.c, quick.c and service.c: events and their delivery
 */
#ifndef TARGET_X86_EXCP_INT_H
#define TARGET_X86_EXCP_INT_H

#include "target-x86/system-int.h"
#include "trace/format.h"

/**
 * struct event - what is being delivered
 * @ret_pc: instruction pointer to save
 * @soft: INT n, INT3, INTO: gate DPL counts, no EXT, never contributory
 */
struct event {
    uint8_t vector;
    bool has_error, soft, external, vme, fault;
    uint32_t error;
    uint64_t ret_pc;
};

/** pushed_flags() - EFLAGS image of the frame: RF is 1 for faults (SDM vol. 3, 17.3.1.1) */
static inline uint32_t pushed_flags(const struct x86_cpu *cpu, const struct event *ev)
{
    uint32_t ef = x86_get_eflags(cpu);

    return ev->fault ? ef | EF_RF : ef & ~EF_RF;
}

/* SDM vol. 3, table 6-1: the exceptions that are faults */
#define EXC_FAULTS (BIT(EXC_DE) | BIT(EXC_BR) | BIT(EXC_UD) | BIT(EXC_NM) | BIT(EXC_TS) | BIT(EXC_NP) | \
                    BIT(EXC_SS) | BIT(EXC_GP) | BIT(EXC_PF) | BIT(EXC_MF) | BIT(EXC_AC) | BIT(EXC_XM))

/** x86_deliver_pending() - deliver tcg.exception, and what comes of it; outside blocks */
void x86_deliver_pending(struct x86_cpu *cpu);
/** x86_event_quick() - deliver @ev in long mode, when nothing about it is unusual and the page maps
 *  have all that it needs. False: nothing has changed, nothing is raised */
bool x86_event_quick(struct x86_cpu *cpu, const struct event *ev) MUST_CHECK;

#endif
