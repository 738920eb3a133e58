#include "lib/desc.h"
void test_long_fpu(void);
void test_long_fpu(void) {}
