/* json.c - JSON values and text */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "ui/json.h"

static struct jw w;

static void teardown(void) { jw_free(&w); }

TestSuite(json, .fini = teardown);

Test(json, writing)
{
    jw_open(&w, NULL);
    jw_str(&w, "s", "a\"b\\c\n\x01\xc3\xa4\xff");
    jw_str(&w, "none", NULL);
    jw_int(&w, "i", -5);
    jw_uint(&w, "u", ~0ull);
    jw_bool(&w, "b", true);
    jw_open_array(&w, "a");
    jw_int(&w, NULL, 1);
    jw_open(&w, NULL);
    jw_close(&w);
    jw_close(&w);
    jw_strf(&w, "f", "%d%%", 7);
    jw_close(&w);
    cr_assert_str_eq(w.text, "{\"s\": \"a\\\"b\\\\c\\n\\u0001\xc3\xa4\xef\xbf\xbd\", \"none\": null, \"i\": -5, "
                     "\"u\": 18446744073709551615, \"b\": true, \"a\": [1, {}], \"f\": \"7%\"}");
}

Test(json, indented)
{
    w.pretty = true;
    jw_open(&w, NULL);
    jw_open_array(&w, "a");
    jw_int(&w, NULL, 1);
    jw_int(&w, NULL, 2);
    jw_close(&w);
    jw_raw(&w, "r", "{\n    \"x\": 1\n}");
    jw_close(&w);
    cr_assert_str_eq(w.text, "{\n    \"a\": [\n        1,\n        2\n    ],\n    \"r\": {\n        \"x\": 1\n    }\n}");
}

Test(json, replaced_bytes_are_no_utf8)
{
    static const char *const bad[] = { "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\x80", "\xe2\x82" };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        jw_str(&w, NULL, bad[i]);
        cr_assert_not_null(strstr(w.text, "\xef\xbf\xbd"), "%zu", i);
        jw_free(&w);
    }
    jw_str(&w, NULL, "\xf0\x9f\x98\x80");
    cr_assert_str_eq(w.text, "\"\xf0\x9f\x98\x80\"");
}

#ifdef CONFIG_JANSSON

static struct jv *parse(const char *text)
{
    struct err e = { "" };
    struct jv *v = jv_parse(text, strlen(text), &e);

    cr_assert(v || *e.msg, "an error without words");
    return v;
}

Test(json, reading_and_copying)
{
    const char *text = "{\"a\": [1, -2, true, null, 1.5], \"o\": {\"s\": \"x\\u00e4\"}}";
    struct jv *v = parse(text);

    cr_assert_not_null(v);
    jw_copy(&w, NULL, v);
    cr_assert_str_eq(w.text, "{\"a\": [1, -2, true, null, 1.5], \"o\": {\"s\": \"x\xc3\xa4\"}}");
    cr_assert_str_eq(jv_text(jv_get(v, "o"), "s"), "x\xc3\xa4");
    cr_assert_null(jv_text(v, "a"));
    cr_assert_null(jv_get(jv_get(v, "a"), "s"));
    cr_assert_eq(jv_number(v, "nothing", 7), 7);
    cr_assert(jv_flag(v, "nothing", true));
    jv_free(v);
}

Test(json, what_is_refused)
{
    static const char *const bad[] = { "", "{", "{\"a\":1,}", "{\"a\":1}{", "{'a':1}", "nul", "{\"a\":1,\"a\":2}", "1e999",
                                       "99999999999999999999", "\"\\u0000\"", "\"\xff\"", "\"\\ud800\"", "[1 2]" };
    char deep[201];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_null(parse(bad[i]), "%s", bad[i]);
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = 0;
    cr_assert_null(parse(deep));
}

Test(json, as_deep_as_it_may_be)
{
    char text[2 * JV_DEPTH_MAX] = "";
    struct jv *v;

    memset(text, '[', JV_DEPTH_MAX / 2);
    memset(text + JV_DEPTH_MAX / 2, ']', JV_DEPTH_MAX / 2);
    v = parse(text);
    cr_assert_not_null(v);
    jw_copy(&w, NULL, v);
    cr_assert_str_eq(w.text, text);
    jv_free(v);
}

#endif
