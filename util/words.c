/*
 * words.c - reading what people type: nearest word, sizes
 */
#include <ctype.h>
#include <stdlib.h>
#include "util/util.h"

#define WORD_MAX 64 /* longer words have no near neighbours worth naming */

/* Levenshtein distance; both words shorter than WORD_MAX. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t la = strlen(a), lb = strlen(b);

    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diag = row[0];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned subst = diag + (a[i - 1] != b[j - 1]);

            diag = row[j];
            row[j] = MIN(subst, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[lb];
}

const char *nearest_word(const char *w, const char *const *words, size_t n)
{
    size_t len = strlen(w);
    unsigned best = 2 + len / 3;
    const char *found = NULL;

    if (!len || len >= WORD_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        unsigned d;

        if (!words[i] || strlen(words[i]) >= WORD_MAX)
            continue;
        d = edit_distance(w, words[i]);
        if (d < best) {
            best = d;
            found = words[i];
        }
    }
    return found;
}

/* Multiplier of a suffix letter; 0 when it is none. */
static uint64_t suffix_unit(char c)
{
    static const char letters[] = "bkmgtpe";
    const char *at = c ? strchr(letters, tolower((unsigned char)c)) : NULL;

    return at ? 1ull << (10 * (at - letters)) : 0;
}

int parse_size(const char *s, uint64_t unit, uint64_t *bytes)
{
    bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    double frac = 0, weight = 0.1;
    uint64_t whole, total;
    char *end;

    if (!isdigit((unsigned char)*s))
        return -EINVAL;
    errno = 0;
    whole = strtoull(s, &end, hex ? 16 : 10);
    if (errno)
        return -ERANGE;
    if (*end == '.' && !hex) {
        if (!isdigit((unsigned char)*++end))
            return -EINVAL;
        for (; isdigit((unsigned char)*end); end++, weight /= 10)
            frac += (*end - '0') * weight;
    }
    if (*end) {
        unit = suffix_unit(*end++);
        if (!unit || *end)
            return -EINVAL;
    }
    if (__builtin_mul_overflow(whole, unit, &total) ||
        __builtin_add_overflow(total, (uint64_t)(frac * (double)unit + 1e-6), &total))
        return -ERANGE;
    *bytes = total;
    return 0;
}

bool id_is_good(const char *id)
{
    if (!isalpha((unsigned char)*id))
        return false;
    while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id)))
        id++;
    return !*id;
}
