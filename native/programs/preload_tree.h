#ifndef HOLDFAST_PRELOAD_TREE_H
#define HOLDFAST_PRELOAD_TREE_H

#include <stddef.h>
#include <sys/types.h>

/* A process and all that descend from it, in memory of malloc's; NULL when they cannot be found. */
pid_t *read_tree(pid_t root, size_t *count);

#endif
