/*
 * kv.c - option arguments as lists of key and value
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include "ui/kv.h"

#define JSON_DEPTH 16
#define KEY_MAX 256

void kv_add(struct kv_list *l, const char *key, const char *val)
{
    l->item = xrealloc(l->item, (l->n + 1) * sizeof *l->item);
    l->item[l->n++] = (struct kv){ xstrdup(key), xstrdup(val) };
}

const char *kv_get(const struct kv_list *l, const char *key)
{
    for (size_t i = l->n; i-- > 0; )
        if (!strcmp(l->item[i].key, key))
            return l->item[i].val;
    return NULL;
}

const char *kv_driver(const struct kv_list *l)
{
    return l->n && !*l->item[0].key ? l->item[0].val : kv_get(l, "driver");
}

void kv_del(struct kv_list *l, const char *key)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->item[i].key, key)) {
            l->item[n++] = l->item[i];
        } else {
            free(l->item[i].key);
            free(l->item[i].val);
        }
    }
    l->n = n;
}

void kv_free(struct kv_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->item[i].key);
        free(l->item[i].val);
    }
    free(l->item);
    *l = (struct kv_list){ NULL, 0 };
}

/* ---- a=b,c=d ---------------------------------------------------------------------- */

/* Up to the next single comma, which is passed over; doubled ones become one. */
static char *next_piece(const char **s)
{
    char *out = xmalloc(strlen(*s) + 1), *o = out;

    while (**s && (**s != ',' || (*s)[1] == ',')) {
        if (**s == ',')
            (*s)++;
        *o++ = *(*s)++;
    }
    if (**s == ',')
        (*s)++;
    *o = 0;
    return out;
}

static void parse_plain(struct kv_list *l, const char *s)
{
    while (*s) {
        char *piece = next_piece(&s), *eq = strchr(piece, '=');

        if (eq)
            *eq = 0;
        kv_add(l, eq ? piece : "", eq ? eq + 1 : piece);
        free(piece);
    }
}

/* ---- JSON --------------------------------------------------------------------------- */

struct json {
    struct kv_list *l;
    const char *s, *start;
    char key[KEY_MAX];
    unsigned depth;
};

static void skip_space(struct json *j)
{
    while (isspace((unsigned char)*j->s))
        j->s++;
}

static bool take(struct json *j, char c)
{
    skip_space(j);
    if (*j->s != c)
        return false;
    j->s++;
    return true;
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    }
    return c;
}

/* Four hexadecimal digits, or -1 */
static int hex4(const char *s)
{
    char text[5] = "";

    for (int i = 0; i < 4; i++) {
        if (!isxdigit((unsigned char)s[i]))
            return -1;
        text[i] = s[i];
    }
    return (int)strtoul(text, NULL, 16);
}

/* Behind "\u" at *@s: one character, perhaps a surrogate pair, as UTF-8 to @out; returns bytes, 0: none. */
static unsigned unicode(const char **s, char *out)
{
    int c = hex4(*s), low;

    if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
        return 0;
    *s += 4;
    if (c >= 0xd800 && c <= 0xdbff) {
        low = (*s)[0] == '\\' && (*s)[1] == 'u' ? hex4(*s + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        *s += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    for (unsigned n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i = n; ; c >>= 6) {
        if (!--i) {
            out[0] = (char)(0xf00 >> n | c);
            return n;
        }
        out[i] = (char)(0x80 | (c & 0x3f));
    }
}

/* Up to the closing quote; NULL: not well formed. */
static char *take_string(struct json *j)
{
    char *out, *o;
    bool ok = true;

    if (!take(j, '"'))
        return NULL;
    out = o = xmalloc(strlen(j->s) + 1);
    while (ok && *j->s && *j->s != '"') {
        if (*j->s == '\\' && j->s[1] == 'u') {
            unsigned n;

            j->s += 2;
            n = unicode(&j->s, o);
            o += n;
            ok = n > 0;
        } else if (*j->s == '\\' && j->s[1]) {
            *o++ = unescape(j->s[1]);
            j->s += 2;
        } else {
            *o++ = *j->s++;
        }
    }
    *o = 0;
    if (ok && *j->s == '"') {
        j->s++;
        return out;
    }
    free(out);
    return NULL;
}

static bool take_object(struct json *j);
static bool take_array(struct json *j);

static bool take_word(struct json *j)
{
    char word[64];
    size_t n = 0;

    while ((isalnum((unsigned char)*j->s) || strchr("+-.", *j->s)) && *j->s && n + 1 < sizeof word)
        word[n++] = *j->s++;
    word[n] = 0;
    if (!strcmp(word, "true"))
        kv_add(j->l, j->key, "on");
    else if (!strcmp(word, "false"))
        kv_add(j->l, j->key, "off");
    else if (n && (!strcmp(word, "null") || isdigit((unsigned char)*word) || *word == '-'))
        kv_add(j->l, j->key, word);
    else
        return false;
    return true;
}

static bool take_value(struct json *j)
{
    char *s;

    skip_space(j);
    if (*j->s == '{')
        return take_object(j);
    if (*j->s == '[')
        return take_array(j);
    if (*j->s != '"')
        return take_word(j);
    s = take_string(j);
    if (s)
        kv_add(j->l, j->key, s);
    free(s);
    return s != NULL;
}

static bool take_member(struct json *j)
{
    size_t len = strlen(j->key);
    char *name = take_string(j);
    bool ok = name && len + strlen(name) + 2 < KEY_MAX && take(j, ':');

    if (ok) {
        sprintf(j->key + len, "%s%s", len ? "." : "", name);
        ok = take_value(j);
        j->key[len] = 0;
    }
    free(name);
    return ok;
}

static bool take_object(struct json *j)
{
    bool ok = take(j, '{') && ++j->depth < JSON_DEPTH;

    if (ok && take(j, '}')) {
        j->depth--;
        return true;
    }
    while (ok && (ok = take_member(j)) && take(j, ','))
        ;
    j->depth--;
    return ok && take(j, '}');
}

/* Elements are members "0", "1" and so on. */
static bool take_array(struct json *j)
{
    size_t len = strlen(j->key);
    bool ok = take(j, '[') && ++j->depth < JSON_DEPTH;
    unsigned n = 0;

    if (ok && take(j, ']')) {
        j->depth--;
        return true;
    }
    do {
        ok = ok && len + 12 < KEY_MAX;
        if (ok)
            sprintf(j->key + len, ".%u", n++);
        ok = ok && take_value(j);
        j->key[len] = 0;
    } while (ok && take(j, ','));
    j->depth--;
    return ok && take(j, ']');
}

int kv_parse(struct kv_list *l, const char *text, struct err *e)
{
    struct json j = { .l = l, .s = text, .start = text };

    if (*text != '{') {
        parse_plain(l, text);
        return 0;
    }
    if (take_object(&j) && (skip_space(&j), !*j.s))
        return 0;
    return err_set(e, -EINVAL, "not well-formed JSON at character %zu", (size_t)(j.s - text) + 1);
}

/* ---- complaints ------------------------------------------------------------------------- */

int opt_err_near(struct err *e, const char *word, const char *const *words, size_t n,
                 const char *dash, const char *fmt, ...)
{
    const char *near = nearest_word(word, words, n);
    char text[320];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, -EINVAL, "%s%s%s%s%s", text, near ? " (did you mean " : "",
                   near ? dash : "", near ? near : "", near ? "?)" : "");
}

int opt_only_keys(const struct kv_list *l, const char *const *keys, size_t n, const char *opt, const char *val,
                  struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        const char *key = *l->item[i].key ? l->item[i].key : l->item[i].val;
        bool known = i == 0 && !*l->item[i].key;

        for (size_t k = 0; k < n; k++)
            known |= !strcmp(key, keys[k]);
        if (!known)
            return opt_err_near(e, key, keys, n, "", "%s%s: unknown property '%s'", opt, val, key);
    }
    return 0;
}
