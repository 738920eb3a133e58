/* prot.c - 32 bit protected mode: the groups in order */
#include "lib/desc.h"

void test_prot_seg(void), test_prot_gate(void), test_prot_excp(void), test_prot_task(void);
void test_prot_page(void), test_prot_pae(void), test_prot_vm86(void), test_prot_smc(void);
void test_prot_dev(void), test_prot_fpu(void);

int main(void)
{
    trap_init();
    test_prot_seg();
    test_prot_gate();
    test_prot_excp();
    if (ring3_can_leave()) {
        test_prot_page();
        test_prot_pae();
        test_prot_vm86();
    } else {
        skip("paging, PAE, virtual-8086 mode", "nothing leaves ring 3");
    }
    test_prot_smc();
    test_prot_fpu();
    test_prot_dev();
    test_prot_task(); /* last: an exception through a task gate ends some machines */
    finish();
}
