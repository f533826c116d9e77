#ifndef HOLDFAST_LIMITS_H
#define HOLDFAST_LIMITS_H

#include <stdbool.h>
#include <sys/resource.h>

/* A resource limit of any process, as /proc/PID/limits shows it to those whom prlimit(2) refuses. */
bool read_limit(long pid, int resource, struct rlimit64 *limit);

#endif
