#ifndef HOLDFAST_PRELOAD_SEGMENTS_H
#define HOLDFAST_PRELOAD_SEGMENTS_H

#include <stdbool.h>

/* Reads HOLDFAST_SEGMENTS and HOLDFAST_TREE. */
void prepare_segments(void);

/*
 * True when criu shall leave the contents of the open shared memory segment to the memory engine. Then it is on record in the
 * file HOLDFAST_SEGMENTS names, and the engine has to find all of it.
 */
bool is_hollow_segment(int fd);

#endif
