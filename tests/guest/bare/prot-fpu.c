#include "lib/desc.h"
void test_prot_fpu(void);
void test_prot_fpu(void) {}
