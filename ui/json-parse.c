/*
 * json-parse.c - reading JSON text, by Jansson
 *
 * Jansson checks syntax, UTF-8 and numbers; its own limit on depth is 2048, so
 * the text is measured before. Its values are copied into ours, which do not need it.
 */
#include <stdlib.h>
#include "ui/json.h"

#ifdef CONFIG_JANSSON
#include <jansson.h>

/* Before it is known to be well-formed: braces in strings do not count. */
static bool too_deep(const char *s, size_t len)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (s[i] == '"')
            quoted = !quoted;
        else if (quoted)
            i += s[i] == '\\';
        else if (s[i] == '{' || s[i] == '[')
            depth++;
        else if ((s[i] == '}' || s[i] == ']') && depth)
            depth--;
        if (depth > JV_DEPTH_MAX / 2)
            return true;
    }
    return false;
}

static struct jv *convert(json_t *v);

static struct jv *convert_object(json_t *v)
{
    struct jv *j = jv_new(JV_OBJECT), **tail = &j->child;
    const char *key;
    json_t *c;

    json_object_foreach(v, key, c) {
        *tail = convert(c);
        (*tail)->key = xstrdup(key);
        tail = &(*tail)->next;
    }
    return j;
}

static struct jv *convert_array(json_t *v)
{
    struct jv *j = jv_new(JV_ARRAY), **tail = &j->child;
    json_t *c;
    size_t i;

    json_array_foreach(v, i, c) {
        *tail = convert(c);
        tail = &(*tail)->next;
    }
    return j;
}

static struct jv *convert(json_t *v)
{
    struct jv *j;

    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return convert_object(v);
    case JSON_ARRAY:
        return convert_array(v);
    case JSON_STRING:
        j = jv_new(JV_STRING);
        j->s = xstrdup(json_string_value(v));
        return j;
    case JSON_INTEGER:
        j = jv_new(JV_INT);
        j->i = json_integer_value(v);
        return j;
    case JSON_REAL:
        j = jv_new(JV_REAL);
        j->r = json_real_value(v);
        return j;
    case JSON_TRUE:
    case JSON_FALSE:
        j = jv_new(JV_BOOL);
        j->b = json_is_true(v);
        return j;
    default:
        return jv_new(JV_NULL);
    }
}

struct jv *jv_parse(const char *text, size_t len, struct err *e)
{
    json_error_t why;
    struct jv *j;
    json_t *v;

    if (len > JV_BYTES_MAX || too_deep(text, len)) {
        err_set(e, -E2BIG, "JSON parse error, too long or nested too deep");
        return NULL;
    }
    v = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!v) {
        err_set(e, -EINVAL, "JSON parse error, %s", why.text);
        return NULL;
    }
    j = convert(v);
    json_decref(v);
    return j;
}

#else

struct jv *jv_parse(const char *text, size_t len, struct err *e)
{
    err_set(e, -ENOTSUP, "built without Jansson");
    return NULL;
}

#endif
