#include "lib/desc.h"
void test_prot_excp(void);
void test_prot_excp(void) {}
