#ifndef HOLDFAST_LIKE_H
#define HOLDFAST_LIKE_H

#include <sys/resource.h>
#include <sys/types.h>

/* A process whose place on the node others take. Its start time (process.h) tells it from a later one with its pid. */
struct like {
	pid_t pid;
	unsigned long long start;
};

/* PID:START. Ends this process when the text is anything else. */
void parse_like(const char *text, struct like *like);

/*
 * Moves this process into every control group of the other that is mounted here, and gives it its processors and
 * oom_score_adj. What is started later inherits all of it. Ends this process when the other one is gone.
 */
void join_like(const struct like *like);

/* The other one's resource limits, by number; where they cannot be read, this process's own. */
void read_limits_like(const struct like *like, struct rlimit64 limits[RLIM_NLIMITS]);

/* As far as the kernel allows: only who has CAP_SYS_RESOURCE raises a hard limit. */
void take_limits(const struct rlimit64 limits[RLIM_NLIMITS]);

#endif
