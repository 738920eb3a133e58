#include "lib/desc.h"
CODE(leave3, "int $0x80");
int main(void){ trap_init(); TRY("int $0x21", :::"memory"); check_trap("INT n",0x21,0); TRY("ud2",:::"memory"); check_trap("UD2",6,0);
in_ring3(leave3); check_trap("ring3",0x80,0);
 finish(); }
