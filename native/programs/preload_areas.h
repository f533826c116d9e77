#ifndef HOLDFAST_PRELOAD_AREAS_H
#define HOLDFAST_PRELOAD_AREAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One memory area of a process, as the kernel has it. */
struct area {
	uint64_t start, end, flags;
};

/* Finds out, once, how the kernel can be asked; false when it cannot. */
bool prepare_areas(void);

/* All areas of a process in the order of their addresses, without a look at their pages. NULL when it cannot be told; free() it. */
struct area *read_areas(int pid, size_t *count);

#endif
