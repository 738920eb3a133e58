/* found before the real one in builds without Criterion (tests/mini-criterion.h) */
#include "tests/mini-criterion.h"
