// SPDX-License-Identifier: MIT
// Key names, typing queue, screendump files, and (for tests/cli/display) a little machine that is only a screen:
//   display show KIND[=ARG] SECONDS KEYLOG   opens the display on a text screen and writes the keys and mouse moves it
//   gets to KEYLOG
#include <time.h>
#include <unistd.h>
#include "hw/video/vga.h"
#include "tests/check.h"
#include "ui/display.h"
#include "ui/keys.h"

static unsigned got[64], ngot;
static void on_key(void *dev, unsigned key, bool down)
{
    if (ngot < ARRAY_LEN(got)) got[ngot++] = key | (down ? 0 : 0x100);
}

static void key_names(void)
{
    u8 k[KEYS_COMBO_MAX];
    struct err e = {0};
    CHECK_EQ(keys_parse("ctrl-alt-delete", k, &e), 3);
    CHECK_EQ(k[0], 0x1d);
    CHECK_EQ(k[1], 0x38);
    CHECK_EQ(k[2], 0xd3);
    static const struct {
        const char *name;
        u8 key;
    } names[] = {{"ret", 0x1c},   {"spc", 0x39},   {"kp_enter", 0x9c}, {"a", 0x1e},     {"f12", 0x58},
                 {"print", 0xb7}, {"pause", 0xc6}, {"up", 0xc8},       {"pgdn", 0xd1},  {"minus", 0x0c},
                 {"less", 0x56},  {"0x3b", 0x3b},  {"esc", 0x01},      {"shift", 0x2a}, {"alt_r", 0xb8},
                 {"menu", 0xdd},  {"sysrq", 0x54}, {"<", 0x56}};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        CHECK_EQ(keys_parse(names[i].name, k, &e), 1);
        CHECK_EQ(k[0], names[i].key);
    }
    CHECK_EQ(keys_parse("ctrl-foo", k, &e), 0);
    CHECK(strstr(e.msg, "'foo'") != NULL);
    CHECK_EQ(keys_parse("", k, &e), 0);
    CHECK_EQ(keys_parse("a-", k, &e), 0);
    CHECK_EQ(keys_parse("a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a", k, &e), 0);
    CHECK_STR(key_name_of(0x9c), "kp_enter");
    CHECK_EQ(key_by_hid(4), 0x1e);  // USB HID usage tables: Keyboard a
    CHECK_EQ(key_by_hid(88), 0x9c); // Keypad ENTER
    CHECK_EQ(key_by_hid(0), 0);
    CHECK_EQ(key_by_hid(9999), 0);
}

static void typing(void)
{
    static struct key_queue q;
    struct input in = {NULL, on_key, NULL, NULL};
    ngot = 0;
    CHECK_EQ(key_queue_text(&q, "aB|\r"), 4);
    for (u64 ms = 1000; ms < 1200; ms++) key_queue_poll(&q, &in, ms);
    static const unsigned want[] = {0x1e, 0x11e, 0x2a, 0x30, 0x130, 0x12a, 0x2a, 0x2b, 0x12b, 0x12a, 0x1c, 0x11c};
    CHECK_EQ(ngot, ARRAY_LEN(want));
    CHECK(!memcmp(got, want, sizeof want));
    // Every printable character of ASCII has a key.
    for (unsigned c = 0x20; c < 0x7f; c++) {
        bool shift;
        CHECK(key_by_char((u8)c, &shift) != 0);
    }
    ngot = 0;
    for (unsigned i = 0; i < 3000; i++) key_queue_char(&q, 'x', true, false); // more than fits
    key_queue_poll(&q, &in, 5000);
    CHECK(ngot <= 4);
    for (u64 ms = 5001; ms < 40000; ms++) key_queue_poll(&q, &in, ms), ngot = ngot > 60 ? 0 : ngot;
    CHECK_EQ(q.n, 0);
}

static void dump_files(void)
{
    static u32 px[6] = {0xff0000, 0x00ff00, 0, 0x0000ff, 0x123456, 0};
    struct surface s = {2, 2, 3, px};
    struct err e = {0};
    char file[] = "/tmp/doppel-dump-XXXXXX", name[64], got_bytes[64] = "";
    int fd = mkstemp(file);
    CHECK(fd >= 0);
    close(fd);
    snprintf(name, sizeof name, "%s.ppm", file);
    CHECK(ui_screendump(&s, name, &e));
    FILE *f = fopen(name, "rb");
    size_t n = f ? fread(got_bytes, 1, sizeof got_bytes, f) : 0;
    if (f) fclose(f);
    static const char want[] = "P6\n2 2\n255\n\xff\0\0\0\xff\0\0\0\xff\x12\x34\x56";
    CHECK_EQ(n, sizeof want - 1);
    CHECK(!memcmp(got_bytes, want, sizeof want - 1));
    unlink(name);
    snprintf(name, sizeof name, "%s.png", file);
#ifdef CONFIG_PNG
    CHECK(ui_screendump(&s, name, &e));
    f = fopen(name, "rb");
    n = f ? fread(got_bytes, 1, 24, f) : 0;
    if (f) fclose(f);
    CHECK(n == 24 && !memcmp(got_bytes, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02", 24));
    unlink(name);
#else
    CHECK(!ui_screendump(&s, name, &e));
    CHECK(strstr(e.msg, "libpng") != NULL);
#endif
    e.msg[0] = 0;
    CHECK(!ui_screendump(&s, "/nonexistent/x.ppm", &e));
    CHECK(strstr(e.msg, "/nonexistent/x.ppm: No such file") != NULL);
    e.msg[0] = 0;
    if (!access("/dev/full", W_OK)) CHECK(!ui_screendump(&(struct surface){2, 2, 3, px}, "/dev/full", &e) || !e.msg[0]);
    unlink(file);
}

static void registry(void)
{
    CHECK(ui_display_find("none") == &ui_display_none);
    CHECK(ui_display_find("nonsense") == NULL);
    CHECK(!ui_display_usable("nonsense"));
    CHECK(ui_display_usable("none"));
    CHECK_EQ(cp437_unicode[0xc9], 0x2554);
    CHECK_EQ(cp437_unicode[0xdb], 0x2588);
}

// ---- display show KIND SECONDS KEYLOG

static FILE *keylog;
static void log_key(void *dev, unsigned key, bool down)
{
    fprintf(keylog, "key %02x %s\n", key, down ? "down" : "up");
    fflush(keylog);
}
static void log_mouse(void *dev, int dx, int dy, int dz, unsigned buttons)
{
    fprintf(keylog, "mouse %d %d %d %u\n", dx, dy, dz, buttons);
    fflush(keylog);
}

// 80 x 25 as mode 3, without a BIOS: character c's glyph has row r = c rotated by r, so that letters can be told apart.
static void text_screen(struct bus *b)
{
    static const u8 cr[25] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,    0x4f, 0x0d, 0x0e, 0,
                              0,    0,    0x55, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
    static const struct {
        u16 port;
        u16 val;
    } regs[] = {{0x3c2, 0x67},   {0x3c4, 0x0300}, {0x3c4, 0x0001}, {0x3c4, 0x0402},
                {0x3c4, 0x0704}, {0x3ce, 0xff08}, {0x3ce, 0x0406}};
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) bus_out(b, regs[i].port, regs[i].val, regs[i].port == 0x3c2 ? 1 : 2);
    for (unsigned c = 0; c < 256; c++)
        for (unsigned r = 0; r < 16; r++)
            bus_store(b, 0xa0000 + 32 * c + r, r < 2 || r > 13 ? 0 : (c >> (r & 7) | c << (8 - (r & 7))) & 0xff, 1);
    for (unsigned i = 0; i < 25; i++) bus_out(b, 0x3d4, i | cr[i] << 8, 2);
    bus_out(b, 0x3c4, 0x0302, 2), bus_out(b, 0x3c4, 0x0304, 2), bus_out(b, 0x3ce, 0x1005, 2),
        bus_out(b, 0x3ce, 0x0e06, 2);
    bus_in(b, 0x3da, 1);
    for (unsigned i = 0; i < 21; i++)
        bus_out(b, 0x3c0, i, 1), bus_out(b, 0x3c0, i < 16 ? i : i == 16 ? 0x0c : i == 18 ? 0x0f : i == 19 ? 8 : 0, 1);
    bus_out(b, 0x3c0, 0x20, 1), bus_out(b, 0x3c8, 0, 1);
    for (unsigned i = 0; i < 16; i++)
        for (int k = 2; k >= 0; k--) bus_out(b, 0x3c9, (i >> k & 1) * 0x2a + (i & 8 ? 0x15 : 0), 1);
    static const char text[] = "Hello from doppel \xc9\xcd\xbb \xdb\xb1 \x03";
    for (unsigned i = 0; i < 2000; i++)
        bus_store(b, 0xb8000 + 2 * i, i < sizeof text - 1 ? 0x1e00u | (u8)text[i] : 0x0720u, 2);
}

static int show(const char *kind, double seconds, const char *log)
{
    struct err e = {0};
    struct bus bus;
    char name[16] = "";
    const char *arg = strchr(kind, '=');
    snprintf(name, sizeof name, "%.*s", (int)strcspn(kind, "="), kind);
    bus_init(&bus);
    struct vga *v = vga_new(&bus, 1 << 20, &e);
    const struct ui_display_ops *ops = ui_display_find(name);
    if (!ops || !v) return fprintf(stderr, "skip: no display %s in this build %s\n", kind, e.msg), 77;
    struct screen screen = vga_screen(v);
    struct input input = {NULL, log_key, log_mouse, NULL};
    bool paused = false;
    struct ui_display_opts o = {.name = "test", .arg = arg ? arg + 1 : NULL, .paused = &paused};
    keylog = fopen(log, "w");
    void *d = keylog ? ops->open(&screen, &input, &o, &e) : NULL;
    if (!d) return fprintf(stderr, "%s\n", e.msg), 1;
    text_screen(&bus);
    bool open = true;
    for (unsigned n = 0; open && n < seconds * 50; n++) {
        bus.clock.now += 20000000;
        open = ops->poll(d);
        paused = n > 25;
        usleep(20000);
    }
    ops->close(d);
    fprintf(keylog, open ? "time is up\n" : "closed\n");
    fclose(keylog);
    parts_free(&bus.parts);
    bus_free(&bus);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(key_names), TEST(typing), TEST(dump_files), TEST(registry)};
    if (argc == 5 && !strcmp(argv[1], "show")) return show(argv[2], atof(argv[3]), argv[4]);
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
