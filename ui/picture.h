/*
 * picture.h - a console's surface as a picture file
 */
#ifndef UI_PICTURE_H
#define UI_PICTURE_H

#include "hw/display/console.h"

enum picture_format { PICTURE_PPM, PICTURE_PNG };

/** picture_format_find() - by name ("ppm", "png"); -EINVAL with @e set */
int picture_format_find(const char *name, enum picture_format *f, struct err *e) MUST_CHECK;

/**
 * picture_write() - write @width x @height pixels (0x00rrggbb, rows without gaps) to @path
 * A file that could not be finished is removed. 0 or -errno with @e set to
 * "PATH: why".
 */
int picture_write(const uint32_t *pixels, unsigned width, unsigned height, const char *path,
                  enum picture_format f, struct err *e) MUST_CHECK;

#endif
