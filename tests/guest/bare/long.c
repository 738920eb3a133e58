/* long.c - long mode: the groups in order */
#include "lib/desc.h"

void test_long_sys(void), test_long_page(void), test_long_seg(void);
void test_prot_fpu(void), test_prot_dev(void);

int main(void)
{
    trap_init();
    test_long_seg();
    test_long_sys();
    test_long_page();
    test_prot_fpu();
    test_prot_dev();
    finish();
}
