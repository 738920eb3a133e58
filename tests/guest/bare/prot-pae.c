#include "lib/desc.h"
void test_prot_pae(void);
void test_prot_pae(void) {}
