/* host-none.c - hosts without a back end: the interpreter serves */
#include "tcg/tcg-int.h"

const struct host_code *host_code_here(struct err *e)
{
    err_set(e, -ENOTSUP, "no back end for this host CPU (-accel tcg,backend=interp works)");
    return NULL;
}
