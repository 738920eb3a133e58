#include "lib/desc.h"
void test_prot_seg(void);
void test_prot_seg(void) {}
