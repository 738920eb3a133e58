/*
 * json.h - JSON values and text, as the machine protocol uses them
 *
 * What a peer sends becomes a tree of struct jv; what is sent back is written as
 * text at once. Only jv_parse() needs Jansson.
 */
#ifndef UI_JSON_H
#define UI_JSON_H

#include "util/util.h"

enum jv_type { JV_NULL, JV_BOOL, JV_INT, JV_REAL, JV_STRING, JV_ARRAY, JV_OBJECT };

/** struct jv - a value; children in order */
struct jv {
    enum jv_type type;
    char *key;                   /* of an object's member; owned, else NULL */
    bool b;
    int64_t i;
    double r;
    char *s;                     /* owned; UTF-8 without NUL bytes */
    struct jv *child, *next;   /* owned */
};

#define JV_BYTES_MAX (1u << 20)    /* longest text that is taken */
#define JV_DEPTH_MAX 64

/** jv_parse() - one value of @len bytes
 *  Bounded by JV_BYTES_MAX and JV_DEPTH_MAX; duplicate keys are refused. Returns a
 *  tree for jv_free(), or NULL with @e set (-ENOTSUP: built without Jansson). */
struct jv *jv_parse(const char *text, size_t len, struct err *e);
/** jv_new() - a value without contents; jv_put() appends @v, which it owns then, to the
 *  object or array @to and returns it; @key is copied (NULL in arrays) */
struct jv *jv_new(enum jv_type t);
struct jv *jv_put(struct jv *to, const char *key, struct jv *v);
void jv_free(struct jv *j);

/** jv_get() - member of an object, or NULL (also when @j is none) */
const struct jv *jv_get(const struct jv *j, const char *key);
/** jv_text() - string member, or NULL; jv_number() and jv_flag(): @def when it is absent */
const char *jv_text(const struct jv *j, const char *key);
int64_t jv_number(const struct jv *j, const char *key, int64_t def);
bool jv_flag(const struct jv *j, const char *key, bool def);
const char *jv_type_name(enum jv_type t);

/* ---- writing ------------------------------------------------------------------- */

/** struct jw - text being written; @pretty is set before the first value */
struct jw {
    char *text;                  /* NUL-terminated once something was written; owned */
    size_t len, size;
    unsigned depth;
    uint64_t arrays;             /* bit n: level n is an array */
    bool pretty, more;           /* more: the next value needs a comma */
};

/* @key NULL: inside an array, or the outermost value */
void jw_open(struct jw *o, const char *key);       /* an object */
void jw_open_array(struct jw *o, const char *key);
void jw_close(struct jw *o);                       /* whichever is open */
void jw_str(struct jw *o, const char *key, const char *val);  /* NULL: null */
void jw_strf(struct jw *o, const char *key, const char *fmt, ...) PRINTF(3, 4);
void jw_int(struct jw *o, const char *key, int64_t val);
void jw_uint(struct jw *o, const char *key, uint64_t val);
void jw_real(struct jw *o, const char *key, double val);
void jw_bool(struct jw *o, const char *key, bool val);
/** jw_copy() - a value that was read */
void jw_copy(struct jw *o, const char *key, const struct jv *v);
/** jw_raw() - @text is JSON already */
void jw_raw(struct jw *o, const char *key, const char *text);
void jw_free(struct jw *o);

#endif
