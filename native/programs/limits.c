#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The titles that the kernel gives the lines of /proc/PID/limits (fs/proc/base.c). */
static const struct {
	int resource;
	const char *title;
} titles[] = {
	{RLIMIT_CPU, "Max cpu time"},
	{RLIMIT_FSIZE, "Max file size"},
	{RLIMIT_DATA, "Max data size"},
	{RLIMIT_STACK, "Max stack size"},
	{RLIMIT_CORE, "Max core file size"},
	{RLIMIT_RSS, "Max resident set"},
	{RLIMIT_NPROC, "Max processes"},
	{RLIMIT_NOFILE, "Max open files"},
	{RLIMIT_MEMLOCK, "Max locked memory"},
	{RLIMIT_AS, "Max address space"},
	{RLIMIT_LOCKS, "Max file locks"},
	{RLIMIT_SIGPENDING, "Max pending signals"},
	{RLIMIT_MSGQUEUE, "Max msgqueue size"},
	{RLIMIT_NICE, "Max nice priority"},
	{RLIMIT_RTPRIO, "Max realtime priority"},
	{RLIMIT_RTTIME, "Max realtime timeout"},
};

static const char *title_of(int resource)
{
	for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
		if (titles[i].resource == resource) return titles[i].title;
	return NULL;
}

static bool parse_value(char **text, rlim64_t *value)
{
	*text += strspn(*text, " ");
	if (!strncmp(*text, "unlimited", 9)) {
		*value = RLIM64_INFINITY;
		*text += 9;
		return true;
	}
	char *end;
	*value = strtoull(*text, &end, 10);
	if (end == *text) return false;
	*text = end;
	return true;
}

bool read_limit(long pid, int resource, struct rlimit64 *limit)
{
	char path[64], line[256];
	const char *title = title_of(resource);
	if (!title) return false;
	snprintf(path, sizeof path, "/proc/%ld/limits", pid);
	FILE *limits = fopen(path, "re");
	if (!limits) return false;
	bool found = false;
	while (!found && fgets(line, sizeof line, limits)) {
		size_t length = strlen(title);
		if (strncmp(line, title, length) || line[length] != ' ') continue;
		char *rest = line + length;
		found = parse_value(&rest, &limit->rlim_cur) && parse_value(&rest, &limit->rlim_max);
	}
	fclose(limits);
	return found;
}
