#include "lib/desc.h"
void test_prot_dev(void);
void test_prot_dev(void) {}
