#ifndef HOLDFAST_SPANK_OPTIONS_H
#define HOLDFAST_SPANK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Longest text of the option. */
#define MAX_OPTIONS 256

/*
 * Checks "interval=10m,keep=3,max-restarts=20": each key at most once, in any order. cli/slurm/options.ts reads the same.
 * False when it is not valid; then `problem` says what and what is expected.
 */
bool check_options(const char *text, char *problem, size_t size);

#endif
