/*
 * model-int.h - the models that -cpu accepts (model-table.c), as model.c reads them
 */
#ifndef TARGET_X86_MODEL_INT_H
#define TARGET_X86_MODEL_INT_H

#include "target-x86/x86.h"

/**
 * struct model_row - a model: who it says it is and what it announces
 * @features: what it has, words of cpu-features.h; NULL: all that are offered
 * @absent: what the real one has besides and nobody here provides; NULL: nothing
 * @like_host: no more than the host's CPU has, and under its name
 * @suffixes: words that may follow the name, such as "-v1"; NULL: none
 * @no_tsx: likewise, but the real one of that name has no "hle" and "rtm"
 * @family, @model, @stepping: display values, as CPUID.1 EAX gives them
 * @level, @xlevel: highest basic and extended leaf
 */
struct model_row {
    const char *name, *vendor, *brand, *help, *features, *absent;
    const char *suffixes, *no_tsx;
    bool like_host;
    uint8_t family, model, stepping;
    uint32_t level, xlevel;
};

/** x86_models - all rows; ends with one whose name is NULL */
extern const struct model_row x86_models[];

#endif
