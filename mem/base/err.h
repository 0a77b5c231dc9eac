// SPDX-License-Identifier: MIT
// Errors of host set-up: one message for a person, naming the option or file and the cure. Guest misbehaviour never
// comes here (log.h: log_guest); our own bugs go to panic().
#pragma once
#include "mem/base/types.h"

struct err {
    char msg[512]; // "" = no error; without newline
};
// Sets the message (the first one stays) and returns false, so that `return err_set(e, "…")` reads well.
bool err_set(struct err *e, const char *fmt, ...) PRINTF(2, 3);
// "No such file or directory" for errno values, thread-safe, never NULL.
const char *err_errno(int errnum);

// Our own bug: prints the message to stderr and aborts. ui/main catches SIGABRT and adds CPU state and the trace ring.
NORETURN void panic(const char *fmt, ...) PRINTF(1, 2);
// Allocation that cannot fail (panics): zero-filled.
void *xalloc(size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
