// SPDX-License-Identifier: MIT
// host_enter() of the host that the translator is built for.
#pragma once
#if defined(__x86_64__)
#include "tcg/host/x64/enter.h"
#else
#error "no back end for this host"
#endif
