#ifndef HOLDFAST_PRELOAD_SMAPS_H
#define HOLDFAST_PRELOAD_SMAPS_H

/* Finds out whether flags of memory areas can be told without the kernel's walk over all pages. Before criu starts. */
void prepare_smaps(void);

/*
 * A file that reads as the smaps of the process whose /proc directory `base` is, with nothing but what criu takes from it: the
 * line of every area, and its flags. -1: the kernel's own file must be read.
 */
int open_smaps(int base, const char *path, int flags);

#endif
