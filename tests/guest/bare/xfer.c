/* xfer.c - generated tests of control transfers, built for 32 and for 64 bit mode */
#include "bare/xfer.h"

void test_xfer_int(void), test_xfer_far(void), test_xfer_ret(void), test_xfer_task(void);

int main(void)
{
    trap_init();
    if (!ring3_can_leave())
        finish();
    test_xfer_int();
    test_xfer_far();
    test_xfer_ret();
#ifndef __x86_64__
    test_xfer_task();
#endif
    finish();
}
