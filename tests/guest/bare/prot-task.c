#include "lib/desc.h"
void test_prot_task(void);
void test_prot_task(void) {}
