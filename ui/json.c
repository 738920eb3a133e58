/*
 * json.c - JSON values: looking into them, writing them
 *
 * Source: RFC 8259.
 */
#define _GNU_SOURCE 1
#include <math.h>
#include <stdlib.h>
#include "ui/json.h"

/* ---- values ---------------------------------------------------------------------- */

struct jv *jv_new(enum jv_type t)
{
    struct jv *j = xzalloc(sizeof(*j));

    j->type = t;
    return j;
}

struct jv *jv_put(struct jv *to, const char *key, struct jv *v)
{
    struct jv **p = &to->child;

    while (*p)
        p = &(*p)->next;
    free(v->key);
    v->key = key ? xstrdup(key) : NULL;
    *p = v;
    return v;
}

/* Recursion is as deep as the value: jv_parse() bounds it. */
void jv_free(struct jv *j)
{
    while (j) {
        struct jv *next = j->next;

        jv_free(j->child);
        free(j->key);
        free(j->s);
        free(j);
        j = next;
    }
}

const struct jv *jv_get(const struct jv *j, const char *key)
{
    if (!j || j->type != JV_OBJECT)
        return NULL;
    for (const struct jv *c = j->child; c; c = c->next)
        if (!strcmp(c->key, key))
            return c;
    return NULL;
}

const char *jv_text(const struct jv *j, const char *key)
{
    const struct jv *v = jv_get(j, key);

    return v && v->type == JV_STRING ? v->s : NULL;
}

int64_t jv_number(const struct jv *j, const char *key, int64_t def)
{
    const struct jv *v = jv_get(j, key);

    return v && v->type == JV_INT ? v->i : def;
}

bool jv_flag(const struct jv *j, const char *key, bool def)
{
    const struct jv *v = jv_get(j, key);

    return v && v->type == JV_BOOL ? v->b : def;
}

const char *jv_type_name(enum jv_type t)
{
    static const char *const names[] = {
        [JV_NULL] = "null", [JV_BOOL] = "boolean", [JV_INT] = "integer",
        [JV_REAL] = "number", [JV_STRING] = "string", [JV_ARRAY] = "array",
        [JV_OBJECT] = "object",
    };

    return names[t];
}

/* ---- writing --------------------------------------------------------------------- */

static void put(struct jw *o, const char *s, size_t n)
{
    if (o->len + n + 1 > o->size) {
        o->size = (o->len + n + 1) * 2;
        o->text = xrealloc(o->text, o->size);
    }
    memcpy(o->text + o->len, s, n);
    o->len += n;
    o->text[o->len] = 0;
}

static void puts_out(struct jw *o, const char *s)
{
    put(o, s, strlen(s));
}

/* Length of the well-formed UTF-8 sequence at @s; 0: it is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
             : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90))
        return 0;
    return n;
}

static void put_escape(struct jw *o, unsigned char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *at = strchr(plain, c);
    char text[8];

    if (at)
        snprintf(text, sizeof(text), "\\%c", letter[at - plain]);
    else
        snprintf(text, sizeof(text), "\\u%04x", c);
    puts_out(o, text);
}

/* Names of files and the like may be any bytes: what is no UTF-8 is replaced. */
static void put_string(struct jw *o, const char *val)
{
    const unsigned char *s = (const unsigned char *)val;

    put(o, "\"", 1);
    while (*s) {
        size_t n = utf8_length(s);

        if (!n)
            puts_out(o, "\xef\xbf\xbd");
        else if (*s < 0x20 || *s == '"' || *s == '\\')
            put_escape(o, *s);
        else
            put(o, (const char *)s, n);
        s += n ? n : 1;
    }
    put(o, "\"", 1);
}

static void new_line(struct jw *o)
{
    if (!o->pretty)
        return;
    put(o, "\n", 1);
    for (unsigned i = 0; i < o->depth; i++)
        puts_out(o, "    ");
}

/* What stands before a value. */
static void lead(struct jw *o, const char *key)
{
    if (o->more)
        puts_out(o, o->pretty ? "," : ", ");
    if (o->depth)
        new_line(o);
    if (key) {
        put_string(o, key);
        puts_out(o, ": ");
    }
    o->more = true;
}

static void open_level(struct jw *o, const char *key, bool array)
{
    lead(o, key);
    put(o, array ? "[" : "{", 1);
    assert(o->depth < JV_DEPTH_MAX - 1);
    o->depth++;
    o->arrays = (o->arrays & ~BIT(o->depth)) | (array ? BIT(o->depth) : 0);
    o->more = false;
}

void jw_open(struct jw *o, const char *key)
{
    open_level(o, key, false);
}

void jw_open_array(struct jw *o, const char *key)
{
    open_level(o, key, true);
}

void jw_close(struct jw *o)
{
    bool array = o->arrays & BIT(o->depth);

    assert(o->depth);
    o->depth--;
    if (o->more)
        new_line(o);
    put(o, array ? "]" : "}", 1);
    o->more = true;
}

void jw_str(struct jw *o, const char *key, const char *val)
{
    lead(o, key);
    if (val)
        put_string(o, val);
    else
        puts_out(o, "null");
}

void jw_strf(struct jw *o, const char *key, const char *fmt, ...)
{
    char *text;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    jw_str(o, key, n < 0 ? "" : text);
    if (n >= 0)
        free(text);
}

/* Text with lines of its own gets the indentation of where it stands; strings have none. */
void jw_raw(struct jw *o, const char *key, const char *text)
{
    lead(o, key);
    for (size_t n; *text; text += n) {
        n = strcspn(text, "\n");
        put(o, text, n);
        if (text[n]) {
            new_line(o);
            n++;
        }
    }
}

void jw_int(struct jw *o, const char *key, int64_t val)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)val);
    jw_raw(o, key, text);
}

void jw_uint(struct jw *o, const char *key, uint64_t val)
{
    char text[32];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)val);
    jw_raw(o, key, text);
}

void jw_real(struct jw *o, const char *key, double val)
{
    char text[40];

    snprintf(text, sizeof(text), "%.17g", isfinite(val) ? val : 0);
    jw_raw(o, key, text);
}

void jw_bool(struct jw *o, const char *key, bool val)
{
    jw_raw(o, key, val ? "true" : "false");
}

void jw_copy(struct jw *o, const char *key, const struct jv *v)
{
    switch (v->type) {
    case JV_NULL:
        jw_str(o, key, NULL);
        break;
    case JV_BOOL:
        jw_bool(o, key, v->b);
        break;
    case JV_INT:
        jw_int(o, key, v->i);
        break;
    case JV_REAL:
        jw_real(o, key, v->r);
        break;
    case JV_STRING:
        jw_str(o, key, v->s);
        break;
    case JV_ARRAY:
    case JV_OBJECT:
        open_level(o, key, v->type == JV_ARRAY);
        for (const struct jv *c = v->child; c; c = c->next)
            jw_copy(o, c->key, c);
        jw_close(o);
        break;
    }
}

void jw_free(struct jw *o)
{
    free(o->text);
    *o = (struct jw){ .pretty = o->pretty };
}
