#include "lib/desc.h"
void test_prot_gate(void);
void test_prot_gate(void) {}
