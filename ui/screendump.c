// SPDX-License-Identifier: MIT
// Monitor command `screendump`: a surface as PPM (P6, Netpbm) or, with libpng, as PNG (8-bit RGB).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ui/display.h"
#ifdef CONFIG_PNG
#include <png.h>
#endif

static void row_rgb(const struct surface *s, u32 y, u8 *to)
{
    for (u32 x = 0; x < s->w; x++, to += 3) {
        u32 c = s->px[(u64)y * s->stride + x];
        to[0] = (u8)(c >> 16), to[1] = (u8)(c >> 8), to[2] = (u8)c;
    }
}

static bool write_ppm(const struct surface *s, FILE *f, u8 *row)
{
    fprintf(f, "P6\n%u %u\n255\n", s->w, s->h);
    for (u32 y = 0; y < s->h; y++) {
        row_rgb(s, y, row);
        if (fwrite(row, 3, s->w, f) != s->w) return false;
    }
    return true;
}

#ifdef CONFIG_PNG
static bool write_png(const struct surface *s, FILE *f, u8 *row)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    if (!png) return errno = ENOMEM, false;
    png_infop info = png_create_info_struct(png);
    if (!info || setjmp(png_jmpbuf(png))) { // libpng reports every failure by this jump
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, s->w, s->h, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 3);
    png_write_info(png, info);
    for (u32 y = 0; y < s->h; y++) {
        row_rgb(s, y, row);
        png_write_row(png, row);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return true;
}
#endif

bool ui_screendump(const struct surface *s, const char *file, struct err *e)
{
    size_t n = strlen(file);
    bool png = n > 4 && !strcasecmp(file + n - 4, ".png");
    if (!s->px || !s->w || !s->h) return err_set(e, "screendump: there is no picture yet");
#ifndef CONFIG_PNG
    if (png) return err_set(e, "screendump: %s: built without libpng; use a name that ends in .ppm", file);
#endif
    FILE *f = fopen(file, "wb");
    if (!f) return err_set(e, "screendump: %s: %s", file, err_errno(errno));
    u8 *row = xalloc((size_t)s->w * 3);
    errno = 0;
#ifdef CONFIG_PNG
    bool ok = png ? write_png(s, f, row) : write_ppm(s, f, row);
#else
    bool ok = write_ppm(s, f, row);
#endif
    int why = errno;
    free(row);
    if (ok && fclose(f)) ok = false, why = errno, f = NULL;
    if (ok) return true;
    if (f) fclose(f);
    remove(file);
    return err_set(e, "screendump: %s: %s", file, why ? err_errno(why) : "write error");
}
