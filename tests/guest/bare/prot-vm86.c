#include "lib/desc.h"
void test_prot_vm86(void);
void test_prot_vm86(void) {}
