#include "lib/desc.h"
void test_long_sys(void);
void test_long_sys(void) {}
