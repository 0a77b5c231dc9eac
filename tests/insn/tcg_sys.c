// SPDX-License-Identifier: MIT
// What the translator does in place of the reference in a kernel's ways in and out: loads of segment registers,
// SYSENTER and SYSEXIT. The same code on both engines, in slices of odd lengths, while descriptors, the descriptor
// table and MSRs change under it; everything the guest could see must agree.
#include "interp/interp.h"
#include "mem/base/buf.h"
#include "tcg/tcg.h"
#include "tests/insn/machine.h"

enum { USER = 0x7100, ENTRY = 0x7200, TABLE2 = 0x6000 };

static void put_code(struct machine *m)
{
    static const u8 kernel[] = {
        0xb8, 0x50, 0, 0, 0, 0x8e, 0xe0,                      // mov eax, SPARE; mov fs, eax
        0x64, 0x03, 0x35, 0, 0, 0, 0,                         // add esi, fs:[0]
        0xb8, 0x10, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0,          // mov eax, K_DS; mov ds, eax; mov es, eax
        0x39, 0xf0, 0x1e, 0x0f, 0xa9,                         // cmp eax, esi; push ds; pop gs
        0x0f, 0xa0, 0x0f, 0xa9, 0x0f, 0x92, 0xc3,             // push fs; pop gs; setb bl
        0x31, 0xc0, 0x8e, 0xe0, 0x50, 0x0f, 0xa9, 0x1e, 0x07, // xor eax, eax; mov fs, eax; push eax; pop
                                                              // gs; push ds; pop es
        0x66, 0xb8, 0x10, 0, 0x8e, 0xd8,                      // mov ax, K_DS; mov ds, eax
        0x39, 0xf3, 0xba, 0, USER >> 8, 0, 0,                 // cmp ebx, esi; mov edx, USER
        0x0f, 0x20, 0xc1, 0x0f, 0x20, 0xd9, 0x01, 0xce, 0x0f, 0x20,
        0xe1,                                     // mov ecx, cr0; mov ecx, cr3; add esi, ecx; mov ecx, cr4
        0x01, 0xce, 0x0f, 0x20, 0xd1, 0x01, 0xce, // add esi, ecx; mov ecx, cr2; add esi, ecx
        0xb9, 0, STACK3 >> 8, 0, 0, 0x0f, 0x35    // mov ecx, STACK3; sysexit
    };
    static const u8 user[] = {0x83, 0xd5, 1, 0x54, 0x5f, 0x29, 0xee, 0x0f, 0x34}; // adc ebp, 1; push esp; pop edi;
                                                                                  // sub esi, ebp; sysenter
    static const u8 entry[] = {0x0f, 0x93, 0xc7, 0x9c, 0x5f,                      // setae bh; pushf; pop edi
                               0xe9, 0xf6, 0xfd, 0xff, 0xff};                     // jmp 7000
    memcpy(m->ram->host + 0x7000, kernel, sizeof kernel);
    memcpy(m->ram->host + USER, user, sizeof user);
    memcpy(m->ram->host + ENTRY, entry, sizeof entry);
    for (u32 k = 0; k < 0x400; k += 4) poke(m, 0xb000 + k, 0x01234567 * (k + 1), 4);
    set_desc(m, SPARE, descriptor(0xb000, 0xfff, 0x4093));
    memcpy(m->ram->host + TABLE2, m->ram->host + GDT, 0x100);
    poke(m, TABLE2 + SPARE, descriptor(0xb100, 0xfff, 0x4093), 8);
    // a second set of flat segments, for another SYSENTER_CS
    for (unsigned k = 0; k < 4; k++) poke(m, GDT + 0x60 + 8 * k, peek(m, GDT + K_CS + 8 * k, 8), 8);
    m->c->sysenter_cs = K_CS;
    m->c->sysenter_esp = 0x9000;
    m->c->sysenter_eip = ENTRY;
}

// What happens between two slices.
static void disturb(struct machine *m, unsigned turn)
{
    struct cpu *c = m->c;
    switch (turn % 12) {
    case 2: set_desc(m, SPARE, descriptor(0xb200, 0xfff, 0x4093)); break;
    case 4: set_desc(m, SPARE, descriptor(0xb000, 0xff, 0x4092)); break; // not accessed, shorter
    case 5: c->gdt_base = TABLE2; break;
    case 6: c->gdt_base = GDT; break;
    case 7: c->sysenter_cs = 0x60; break;
    case 8: c->sysenter_cs = K_CS; break;
    case 9: set_desc(m, K_DS, descriptor(0, 0xffffe, A_DATA0)); break; // not flat any more
    case 10: set_desc(m, K_DS, descriptor(0, 0xfffff, A_DATA0)); break;
    case 3: c->cr2 = turn * 0x1234567; break;
    case 11: set_desc(m, SPARE, descriptor(0, 0xfffff, A_DATA0)); break;
    default: break;
    }
}

static void translator(struct tcg_config *config, struct cpu_engine *tcg)
{
    *config = tcg_default_config;
    config->size = TCG_SIZE_MIN;
    config->cold = 1;
    *tcg = tcg_engine;
    tcg->config = config;
}

static void compare(struct machine **m, unsigned turns, unsigned most)
{
    struct cpu *a = m[0]->c, *b = m[1]->c;
    for (unsigned turn = 0; turn < turns; turn++) {
        for (unsigned k = 0; k < 2; k++) {
            disturb(m[k], turn);
            CHECK_EQ(cpu_run(m[k]->c, 61 + 7 * (turn % 9)), CPU_STOP_BUDGET);
        }
        for (unsigned r = 0; r < 16; r++) CHECK_EQ(b->gpr[r], a->gpr[r]);
        CHECK_EQ(b->gpr[R_RIP], a->gpr[R_RIP]);
        CHECK_EQ(flags_get(b), flags_get(a));
        CHECK_EQ(b->mode, a->mode);
        CHECK_EQ(b->cpl, a->cpl);
        CHECK_EQ(b->icount, a->icount);
        for (unsigned s = S_ES; s <= S_GS; s++) {
            const struct seg *x = &a->seg[s], *y = &b->seg[s];
            CHECK_EQ(y->sel, x->sel);
            CHECK_EQ(y->base, x->base);
            CHECK_EQ(y->limit, x->limit);
            CHECK_EQ(y->attr, x->attr);
            CHECK_EQ(y->usable, x->usable);
            CHECK_EQ(y->rend, x->rend);
            CHECK_EQ(y->wend, x->wend);
        }
        if (check_ctx.bad) {
            printf("# turn %u\n", turn);
            break;
        }
    }
    CHECK_EQ(memcmp(m[0]->ram->host, m[1]->ram->host, 0x10000), 0);
    CHECK(a->gpr[R_RBP] > 100); // it went round
    CHECK_EQ(m[0]->triple + m[1]->triple, 0);
    // and most of it in place
    struct buf info = {0};
    b->engine->info(b, &info);
    const char *calls = strstr(buf_text(&info), "inside blocks: ");
    CHECK(calls && atoi(calls + 15) < (int)most);
    if (!calls || atoi(calls + 15) >= (int)most) printf("%s\n", buf_text(&info));
    buf_free(&info);
    for (unsigned k = 0; k < 2; k++) machine_free(m[k]);
}

static void ways_in_and_out(void)
{
    struct tcg_config config;
    struct cpu_engine tcg;
    translator(&config, &tcg);
    struct machine *m[2] = {machine_protected_engine("max", &interp_engine), machine_protected_engine("max", &tcg)};
    for (unsigned k = 0; k < 2; k++) put_code(m[k]);
    compare(m, 240, 1500);
}

// Null and other selectors in 64-bit code, where FS and GS alone have a base.
static void loads_in_64_bit(void)
{
    static const u8 loop[] = {
        0xb8, 0x50, 0,    0,    0,    0x8e, 0xe0, 0x64, 0x48, 0x03, 0x34,
        0x25, 0,    0,    0,    0, // mov eax, SPARE; mov fs, eax; add rsi, fs:[0]
        0xb8, 0x10, 0,    0,    0,    0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe8, // mov eax, K_DS; mov ds, es, gs
        0x65, 0x48, 0x03, 0x34, 0x25, 0,    0xb0, 0,    0,                // add rsi, gs:[b000h]
        0x31, 0xc0, 0x8e, 0xe8, 0x8e, 0xd8, 0x39, 0xf0,                   // xor eax, eax; mov gs, ds; cmp eax, esi
        0x0f, 0xa0, 0x0f, 0xa9, 0x0f, 0x20, 0xe1, 0x0f, 0x92, 0xc3,       // push fs; pop gs; mov rcx, cr4; setb bl
        0x83, 0xd5, 1,    0xeb, 0xc5};                                    // adc ebp, 1; jmp loop
    struct tcg_config config;
    struct cpu_engine tcg;
    translator(&config, &tcg);
    struct machine *m[2] = {machine_long_engine("max", &interp_engine), machine_long_engine("max", &tcg)};
    for (unsigned k = 0; k < 2; k++) {
        put_code(m[k]);
        memcpy(m[k]->ram->host + 0x7000, loop, sizeof loop);
        m[k]->c->gpr[R_RIP] = 0x7000;
        m[k]->c->gpr[R_RSP] = 0x9000;
    }
    compare(m, 120, 1500);
}

// RDTSC and RDTSCP by the number of retired instructions, asked for by the reference, computed in place by the
// translator; then by the host's. Rings 0 and 3, CR4.TSD, TSC_ADJUST, times past 580 years.
static u64 tsc_pin(void *owner, unsigned cpu)
{
    struct machine *m = owner;
    struct cpu_tsc *t = &m->c->tsc;
    if (t->kind == CPU_TSC_HOST) return cpu_tsc_host(t, 1ull << 60); // of no concern: too far, or before `from`
    return muldiv64(t->base + cpu_icount(m->c) * t->scale, t->hz, NS_PER_SEC);
}
static void tsc(void)
{
    static const u8 loop[] = {0x0f, 0x31, 0x01, 0xc6, 0x11, 0xd7,        // 7000: rdtsc; add esi, eax; adc edi, edx
                              0x39, 0xf7, 0x0f, 0x31, 0x0f, 0x92, 0xc3,  // cmp edi, esi; rdtsc; setb bl
                              0x01, 0xd0, 0x89, 0x04, 0x24,              // add eax, edx; mov [esp], eax
                              0x0f, 0x01, 0xf9, 0x01, 0xce,              // rdtscp; add esi, ecx
                              0x8b, 0x0c, 0x24, 0x0f, 0x31, 0x01, 0xc8,  // mov ecx, [esp]; rdtsc; add eax, ecx
                              0x89, 0x44, 0x24, 4,    0x45, 0xeb, 0xdb}; // mov [esp + 4], eax; inc ebp; jmp 7000
    struct tcg_config config;
    struct cpu_engine tcg;
    translator(&config, &tcg);
    for (unsigned mode = 0; mode < 3; mode++) {
        struct machine *m[2];
        for (unsigned k = 0; k < 2; k++) {
            const struct cpu_engine *e = k ? &tcg : &interp_engine;
            m[k] = mode == 2 ? machine_long_engine("max", e) : machine_protected_engine("max", e);
            memcpy(m[k]->ram->host + 0x7000, loop, sizeof loop);
            if (mode == 2) memcpy(m[k]->ram->host + 0x7000 + sizeof loop - 3, "\xff\xc5\xeb\xda", 4); // inc ebp
            poke(m[k], IDT + 13 * 8, gate(K_CS, 0x6000, 0x8e, 0), 8);
            // #GP: add dword [esp + 4], 2; add esp, 4; iretd
            memcpy(m[k]->ram->host + 0x6000, "\x83\x44\x24\x04\x02\x83\xc4\x04\xcf", 9);
            struct cpu *c = m[k]->c;
            c->gpr[R_RSP] = 0x9000;
            c->gpr[R_RIP] = 0x7000;
            c->tsc_aux = 0x12345678;
            c->pins.owner = m[k];
            c->pins.tsc = tsc_pin;
            if (mode == 1) to_user(m[k]);
            c->gpr[R_RIP] = 0x7000;
        }
        struct cpu *a = m[0]->c, *b = m[1]->c;
        for (unsigned turn = 0; turn < 120 && !check_ctx.bad; turn++) {
            struct cpu_tsc t = {
                .base = turn * 0x123456789, .scale = 1ull << turn % 5, .hz = 2600000000, .kind = CPU_TSC_ICOUNT};
            if (turn % 9 == 8) t.base = ~(u64)0 - 4000;
            if (turn % 7 > 4)
                t = (struct cpu_tsc){.base = 0xfffffff0 + turn,
                                     .from = turn & 1 ? ~(u64)0 : 0,
                                     .scale = 3ull << 32,
                                     .last = turn % 3 ? 0 : 0x100000000,
                                     .step = turn % 7 == 5,
                                     .kind = CPU_TSC_HOST};
            for (unsigned k = 0; k < 2; k++) {
                struct cpu *c = m[k]->c;
                c->tsc = t;
                c->tsc_adjust = (u64)turn << 33;
                c->tsc_offset = turn % 3;
                c->cr4 = (mode == 2 ? CR4_PAE : 0) | (turn % 11 == 10 ? CR4_TSD : 0);
                CHECK_EQ(cpu_run(c, 41 + 7 * (turn % 9)), CPU_STOP_BUDGET);
            }
            for (unsigned r = 0; r < 16; r++) CHECK_EQ(b->gpr[r], a->gpr[r]);
            CHECK_EQ(b->gpr[R_RIP], a->gpr[R_RIP]);
            CHECK_EQ(flags_get(b), flags_get(a));
            CHECK_EQ(b->icount, a->icount);
            CHECK_EQ(b->cpl, a->cpl);
            if (check_ctx.bad) printf("# mode %u turn %u\n", mode, turn);
        }
        CHECK_EQ(memcmp(m[0]->ram->host, m[1]->ram->host, 0x10000), 0);
        CHECK(a->gpr[R_RBP] > 100 && m[0]->triple + m[1]->triple == 0);
        struct buf info = {0};
        b->engine->info(b, &info);
        const char *calls = strstr(buf_text(&info), "inside blocks: ");
        CHECK(calls && atoi(calls + 15) < 400); // without CR4.TSD, and for 580 years, in place
        if (check_ctx.bad) printf("%s\n", buf_text(&info));
        buf_free(&info);
        for (unsigned k = 0; k < 2; k++) machine_free(m[k]);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(ways_in_and_out), TEST(loads_in_64_bit), TEST(tsc)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
