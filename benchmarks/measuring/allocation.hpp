/// \file
/// Memory that candidates allocate while the clock runs.
#pragma once

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace benchmarks {

/// Makes malloc keep what is freed, so that a candidate which allocates its output does not pay for fresh pages in each
/// call. glibc's threshold for mapping large arrays cannot be raised above 32 MiB, hence no mapping at all.
inline void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);  // never give memory back
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace benchmarks
