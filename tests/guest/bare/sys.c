/* sys.c - the systematic tests, built for 32 and for 64 bit mode: the groups in order */
#include "lib/desc.h"

void test_sys_rows(void), test_sys_perm(void), test_sys_cross(void), test_sys_priv(void), test_sys_limit(void);
void test_sys_intr(void), test_sys_flow(void), test_sys_flush(void);
void test_sys_shadow(void);

int main(void)
{
    trap_init();
    test_sys_rows();
    if (ring3_can_leave()) {
        test_sys_priv();
#ifndef __x86_64__
        test_sys_limit(); /* limits count outside 64-bit mode only */
#endif
        test_sys_perm();
        test_sys_cross();
    } else {
        skip("rights, limits, crossings", "nothing leaves ring 3");
    }
    test_sys_flush();
    test_sys_intr();
    test_sys_flow();
    test_sys_shadow();
    finish();
}
