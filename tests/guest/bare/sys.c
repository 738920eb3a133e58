/* sys.c - the systematic tests, built for 32 and for 64 bit mode: the groups in order */
#include "lib/desc.h"

void test_sys_rows(void), test_sys_perm(void), test_sys_cross(void);

int main(void)
{
    trap_init();
    test_sys_rows();
    test_sys_perm();
    test_sys_cross();
    finish();
}
