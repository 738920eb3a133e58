/* sys.c - the systematic tests, built for 32 and for 64 bit mode: the groups in order */
#include "lib/desc.h"

void test_sys_rows(void);

int main(void)
{
    trap_init();
    test_sys_rows();
    finish();
}
