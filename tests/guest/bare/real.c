#include "lib/bare.h"
int main(void){ trap_init(); TRY("int $0x21", :::"memory"); check_trap("INT n",0x21,0); TRY("ud2",:::"memory"); check_trap("UD2",6,0); finish(); }
