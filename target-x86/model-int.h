/*
 * model-int.h - the models that -cpu accepts (model-table.c) and their features, as model.c reads them
 */
#ifndef TARGET_X86_MODEL_INT_H
#define TARGET_X86_MODEL_INT_H

#include "target-x86/x86.h"
#include "target-x86/cpu-features.h"

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

/* ---- features (model-feature.c) -------------------------------------------------------- */

/** struct x86_feature - a row of cpu-features.h; kinds are explained there */
struct x86_feature {
    const char *name;
    uint8_t word, bit;           /* FEAT_*, 0..31 */
    enum { KIND_S, KIND_P, KIND_O, KIND_N } kind;
};
enum {
    X86_FEATURE_COUNT = 0
#define X(w, b, n, k) + 1
    X86_FEATURES(X)
#undef X
};
extern const struct x86_feature x86_features[X86_FEATURE_COUNT];

/** x86_find_feature() - by name or alias, or NULL */
const struct x86_feature *x86_find_feature(const char *name);
enum { X86_FEATURE_WORDS = X86_FEATURE_COUNT + 32 };
/** x86_feature_words() - all names and aliases into @words; returns how many */
size_t x86_feature_words(const char *words[X86_FEATURE_WORDS]);
/** x86_feature_offered() - whether it can be had here */
bool x86_feature_offered(const struct x86_feature *f);
/** x86_is_host_feature() - @f belongs to -cpu host: an instruction set of the host's. What concerns
 *  the emulated system (APICs, speculation, timers) is there in any case. */
bool x86_is_host_feature(const struct x86_feature *f);
/** x86_feature_put() - @m has it, or has it not */
void x86_feature_put(struct x86_model *m, const struct x86_feature *f, bool on);
/** x86_host_identity() - @m's vendor, signature and brand are the host's, where that is an x86 */
void x86_host_identity(struct x86_model *m);

#endif
