#include "lib/desc.h"
void test_prot_page(void);
void test_prot_page(void) {}
