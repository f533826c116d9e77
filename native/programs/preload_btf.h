#ifndef HOLDFAST_PRELOAD_BTF_H
#define HOLDFAST_PRELOAD_BTF_H

#include <stdbool.h>
#include <stdint.h>

/* What the kernel's own type information (BTF) says about walking the memory areas of a task. */
struct vma_types {
	/* Of the function that stands for the iterator. */
	uint32_t iterator_id;
	/* Offsets in struct vm_area_struct, in bytes. */
	uint32_t start, end, flags;
};

/* False where the kernel tells nothing, or has no such iterator. */
bool read_vma_types(struct vma_types *types);

#endif
