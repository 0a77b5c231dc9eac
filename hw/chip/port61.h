// SPDX-License-Identifier: MIT
// NMI status and control, port 61h: gate and output of timer counter 2, the speaker, NMI sources.
#pragma once
#include "mem/bus.h"

struct i8254;
struct port61;
enum { PORT61_IOCHK, PORT61_SERR, PORT61_NMI_OFF }; // inputs: IOCHK#, SERR# (1: asserted), bit 7 of port 70h
struct port61 *port61_new(struct bus *b, struct i8254 *pit, struct irq nmi);
struct irq port61_line(struct port61 *p, unsigned n); // PORT61_*
bool port61_speaker(struct port61 *p);                // what drives the loudspeaker now
