#include "lib/desc.h"
void test_prot_smc(void);
void test_prot_smc(void) {}
