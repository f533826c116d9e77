#include "like.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "complain.h"
#include "groups.h"
#include "limits.h"
#include "process.h"

void parse_like(const char *text, struct like *like)
{
	long long pid, start;
	char *copy = strdup(text);
	if (!copy) die_errno("cannot keep --like");
	char *rest = copy, *number = strsep(&rest, ":");
	if (!parse_number(number, 1, INT_MAX, &pid) || !parse_number(rest, 1, LLONG_MAX, &start))
		die("--like wants PID:START, not '%s'", text);
	free(copy);
	*like = (struct like){pid, start};
}

static void require_same(const struct like *like)
{
	if (process_start(like->pid) != like->start) die("process %d, whose place was to be taken, is gone", (int)like->pid);
}

/* A machine may have more processors than a cpu_set_t. */
static void take_processors(const struct like *like)
{
	for (size_t count = 1024; count <= 1 << 20; count *= 2) {
		cpu_set_t *set = CPU_ALLOC(count);
		if (!set) return;
		size_t size = CPU_ALLOC_SIZE(count);
		int result = sched_getaffinity(like->pid, size, set), cause = errno;
		/* Where its control group already says which ones, others are refused. */
		if (result == 0 && sched_setaffinity(0, size, set) < 0) complain_errno("processors of process %d not taken", (int)like->pid);
		CPU_FREE(set);
		if (result == 0 || cause != EINVAL) return;
	}
}

/* Without a complaint: to lower it needs a right that even root may lack. */
static void take_oom_score(const struct like *like)
{
	char path[64], text[16];
	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)like->pid);
	int from = open(path, O_RDONLY | O_CLOEXEC), to = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t length = from < 0 ? -1 : read(from, text, sizeof text);
	bool is_taken = length > 0 && to >= 0 && write(to, text, length) == length;
	(void)is_taken;
	if (from >= 0) close(from);
	if (to >= 0) close(to);
}

void join_like(const struct like *like)
{
	require_same(like);
	join_groups(like->pid);
	take_processors(like);
	take_oom_score(like);
	/* What was read may have been a later process's. */
	require_same(like);
}

void read_limits_like(const struct like *like, struct rlimit64 limits[RLIM_NLIMITS])
{
	for (int resource = 0; resource < RLIM_NLIMITS; resource++)
		if (!read_limit(like->pid, resource, &limits[resource]) && getrlimit64(resource, &limits[resource]) < 0)
			die_errno("cannot read the limit %d", resource);
	require_same(like);
}

void take_limits(const struct rlimit64 limits[RLIM_NLIMITS])
{
	for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
		struct rlimit64 wanted = limits[resource], own;
		if (getrlimit64(resource, &own) < 0 || setrlimit64(resource, &wanted) == 0) continue;
		if (wanted.rlim_max > own.rlim_max) wanted.rlim_max = own.rlim_max;
		if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
		if (setrlimit64(resource, &wanted) < 0) complain_errno("limit %d not taken", resource);
	}
}
