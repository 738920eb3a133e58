/*
 * mini-criterion.h - as much of Criterion as our tests use
 *
 * For cross builds, where the library may not exist for the target. Tests are
 * written for Criterion; this only has to run them: one process a test, a line
 * for each failure, a summary. tests/mini-criterion.c is its main().
 */
#ifndef TESTS_MINI_CRITERION_H
#define TESTS_MINI_CRITERION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mc_options {
    void (*init)(void);
    void (*fini)(void);
    double timeout;         /* seconds; 0: the default */
    int exit_code;          /* expected of a test that exits */
    int signal;             /* expected of a test that dies */
    bool disabled;
    const char *description;
};

struct mc_test {
    const char *suite, *name;
    void (*fn)(void);
    const struct mc_options *(*options)(void);
    struct mc_test *next;
};

struct mc_suite {
    const char *name;
    const struct mc_options *(*options)(void);
    struct mc_suite *next;
};

void mc_add_test(struct mc_test *t);
void mc_add_suite(struct mc_suite *s);
/** mc_fail() - report and remember a failure; does not return when @fatal */
void mc_fail(bool fatal, const char *file, int line, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void mc_skip(void) __attribute__((noreturn));

#define MC_OPTIONS(id, ...)                                                  \
    static const struct mc_options *id##_options(void)                       \
    {                                                                        \
        static const struct mc_options o = { __VA_ARGS__ };    \
        return &o;                                                           \
    }

#define Test(suite_, name_, ...)                                                       \
    static void mc_##suite_##_##name_(void);                                           \
    MC_OPTIONS(mc_##suite_##_##name_, __VA_ARGS__)                                     \
    __attribute__((constructor)) static void mc_##suite_##_##name_##_add(void)         \
    {                                                                                  \
        static struct mc_test t = { #suite_, #name_, mc_##suite_##_##name_,            \
                                    mc_##suite_##_##name_##_options, NULL };           \
        mc_add_test(&t);                                                               \
    }                                                                                  \
    static void mc_##suite_##_##name_(void)

#define TestSuite(suite_, ...)                                                         \
    MC_OPTIONS(mc_suite_##suite_, __VA_ARGS__)                                         \
    __attribute__((constructor)) static void mc_suite_##suite_##_add(void)             \
    {                                                                                  \
        static struct mc_suite s = { #suite_, mc_suite_##suite_##_options, NULL };     \
        mc_add_suite(&s);                                                              \
    }                                                                                  \
    struct mc_suite

#define MC_CHECK(fatal, cond, what, ...)                                   \
    do {                                                                   \
        if (!(cond))                                                       \
            mc_fail(fatal, __FILE__, __LINE__, what, "" __VA_ARGS__);      \
    } while (0)

#define cr_skip_test(...) mc_skip()
#define cr_assert_fail(...) MC_CHECK(true, false, "reached", ##__VA_ARGS__)

#define cr_assert(c, ...) MC_CHECK(true, (c), #c, ##__VA_ARGS__)
#define cr_assert_not(c, ...) MC_CHECK(true, !(c), "!(" #c ")", ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...) MC_CHECK(true, (a) == (b), #a " == " #b, ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...) MC_CHECK(true, (a) != (b), #a " != " #b, ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...) MC_CHECK(true, (a) < (b), #a " < " #b, ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...) MC_CHECK(true, (a) <= (b), #a " <= " #b, ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...) MC_CHECK(true, (a) > (b), #a " > " #b, ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...) MC_CHECK(true, (a) >= (b), #a " >= " #b, ##__VA_ARGS__)
#define cr_assert_null(a, ...) MC_CHECK(true, (a) == NULL, #a " == NULL", ##__VA_ARGS__)
#define cr_assert_not_null(a, ...) MC_CHECK(true, (a) != NULL, #a " != NULL", ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) \
    MC_CHECK(true, strcmp((a), (b)) == 0, #a " equals " #b, ##__VA_ARGS__)
#define cr_assert_str_empty(a, ...) MC_CHECK(true, *(a) == 0, #a " is empty", ##__VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) \
    MC_CHECK(true, strcmp((a), (b)) != 0, #a " differs from " #b, ##__VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) \
    MC_CHECK(true, memcmp((a), (b), (n)) == 0, #a " equals " #b, ##__VA_ARGS__)
#define cr_assert_arr_neq(a, b, n, ...) \
    MC_CHECK(true, memcmp((a), (b), (n)) != 0, #a " differs from " #b, ##__VA_ARGS__)
#define cr_assert_float_eq(a, b, eps, ...)                                          \
    MC_CHECK(true, (a) - (b) <= (eps) && (b) - (a) <= (eps), #a " is about " #b, ##__VA_ARGS__)

#define cr_expect(c, ...) MC_CHECK(false, (c), #c, ##__VA_ARGS__)
#define cr_expect_not(c, ...) MC_CHECK(false, !(c), "!(" #c ")", ##__VA_ARGS__)
#define cr_expect_eq(a, b, ...) MC_CHECK(false, (a) == (b), #a " == " #b, ##__VA_ARGS__)
#define cr_expect_neq(a, b, ...) MC_CHECK(false, (a) != (b), #a " != " #b, ##__VA_ARGS__)
#define cr_expect_lt(a, b, ...) MC_CHECK(false, (a) < (b), #a " < " #b, ##__VA_ARGS__)
#define cr_expect_leq(a, b, ...) MC_CHECK(false, (a) <= (b), #a " <= " #b, ##__VA_ARGS__)
#define cr_expect_gt(a, b, ...) MC_CHECK(false, (a) > (b), #a " > " #b, ##__VA_ARGS__)
#define cr_expect_geq(a, b, ...) MC_CHECK(false, (a) >= (b), #a " >= " #b, ##__VA_ARGS__)
#define cr_expect_null(a, ...) MC_CHECK(false, (a) == NULL, #a " == NULL", ##__VA_ARGS__)
#define cr_expect_not_null(a, ...) MC_CHECK(false, (a) != NULL, #a " != NULL", ##__VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) \
    MC_CHECK(false, strcmp((a), (b)) == 0, #a " equals " #b, ##__VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) \
    MC_CHECK(false, strcmp((a), (b)) != 0, #a " differs from " #b, ##__VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) \
    MC_CHECK(false, memcmp((a), (b), (n)) == 0, #a " equals " #b, ##__VA_ARGS__)

#endif
