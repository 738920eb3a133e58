/* kv.c - option arguments: lists, JSON objects */
#include <criterion/criterion.h>
#include "ui/kv.h"

/* @text as "key=value" pieces with a bar between them, or NULL: refused */
static const char *parsed(const char *text)
{
    static char out[200];
    struct kv_list l = { NULL, 0 };
    struct err e = { "" };
    int ret = kv_parse(&l, text, &e);

    *out = 0;
    for (size_t i = 0; i < l.n; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s=%s", i ? "|" : "", l.item[i].key, l.item[i].val);
    kv_free(&l);
    cr_assert_eq(ret < 0, *e.msg != 0, "%s: %s", text, e.msg);
    return ret < 0 ? NULL : out;
}

Test(kv, plain)
{
    cr_assert_str_eq(parsed("x,a=b,c=d,,e"), "=x|a=b|c=d,e");
    cr_assert_str_eq(parsed(""), "");
}

Test(kv, json)
{
    cr_assert_str_eq(parsed("{\"a\":{\"b\":1,\"c\":[true,\"x\"]},\"d\":null}"), "a.b=1|a.c.0=on|a.c.1=x|d=null");
    cr_assert_str_eq(parsed("{ } "), "");
}

Test(kv, json_escapes)
{
    cr_assert_str_eq(parsed("{\"a\":\"\\\"\\\\\\/\\n\"}"), "a=\"\\/\n");
    cr_assert_str_eq(parsed("{\"a\":\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00!\"}"), "a=A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!");
}

Test(kv, json_that_is_none)
{
    static const char *const wrong[] = {
        "{", "{\"a\"", "{\"a\":}", "{\"a\":1", "{\"a\":\"x}", "{\"a\":\"\\u\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}", "{\"a\":\"\\u0000\"}", "{\"a\":1}x", "{a:1}", "{\"a\":\"\\",
    };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        cr_assert_null(parsed(wrong[i]), "%s", wrong[i]);
}

Test(kv, what_it_is_about)
{
    struct kv_list l = { NULL, 0 };
    struct err e;

    cr_assert_eq(kv_parse(&l, "name,driver=other", &e), 0);
    cr_assert_str_eq(kv_driver(&l), "name");
    kv_free(&l);
    cr_assert_eq(kv_parse(&l, "id=x,driver=other", &e), 0);
    cr_assert_str_eq(kv_driver(&l), "other");
    kv_free(&l);
    cr_assert_null(kv_driver(&l));
}
