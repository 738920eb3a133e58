#include "lib/desc.h"
void test_long_page(void);
void test_long_page(void) {}
