#include "lib/desc.h"
void test_long_seg(void);
void test_long_seg(void) {}
