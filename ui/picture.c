/*
 * picture.c - PPM (raw, 24 bits) and PNG files
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <unistd.h>
#ifdef CONFIG_PNG
#include <png.h>
#endif
#include "ui/picture.h"

int picture_format_find(const char *name, enum picture_format *f, struct err *e)
{
    if (!strcmp(name, "ppm"))
        *f = PICTURE_PPM;
    else if (!strcmp(name, "png"))
        *f = PICTURE_PNG;
    else
        return err_set(e, -EINVAL, "%s: unknown picture format (png and ppm are known)", name);
#ifndef CONFIG_PNG
    if (*f == PICTURE_PNG)
        return err_set(e, -ENOTSUP, "png: not built in (libpng was not there)");
#endif
    return 0;
}

static void rgb_row(const uint32_t *in, unsigned width, uint8_t *out)
{
    for (unsigned x = 0; x < width; x++) {
        *out++ = in[x] >> 16;
        *out++ = in[x] >> 8;
        *out++ = in[x];
    }
}

static void write_ppm(FILE *f, const uint32_t *pixels, unsigned width, unsigned height,
                      uint8_t *row)
{
    fprintf(f, "P6\n%u %u\n255\n", width, height);
    for (unsigned y = 0; y < height; y++) {
        rgb_row(&pixels[(size_t)y * width], width, row);
        fwrite(row, 3, width, f);
    }
}

#ifdef CONFIG_PNG
/* libpng reports errors by longjmp() to here. */
static bool write_png(FILE *f, const uint32_t *pixels, unsigned width, unsigned height,
                      uint8_t *row)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;

    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (unsigned y = 0; y < height; y++) {
        rgb_row(&pixels[(size_t)y * width], width, row);
        png_write_row(png, row);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return true;
}
#endif

int picture_write(const uint32_t *pixels, unsigned width, unsigned height, const char *path,
                  enum picture_format format, struct err *e)
{
    FILE *f = fopen(path, "we");
    uint8_t *row;
    bool ok = true;

    if (!f)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    row = xmalloc((size_t)width * 3);
    errno = 0;
    if (format == PICTURE_PPM)
        write_ppm(f, pixels, width, height, row);
#ifdef CONFIG_PNG
    else
        ok = write_png(f, pixels, width, height, row);
#endif
    free(row);
    ok &= !ferror(f);
    if (fclose(f) || !ok) {
        int why = errno ? errno : EIO;

        unlink_regular(path);
        return err_set(e, -why, "%s: %s", path, strerror(why));
    }
    return 0;
}
