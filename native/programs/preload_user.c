#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"
#include "preload_job.h"
#include "preload_user.h"

static struct {
	uid_t uid;
	gid_t gid;
	gid_t *groups, *roots_groups;
	size_t group_count, roots_group_count;
} ids;
static bool is_known;

static uint32_t parse_id(const char **text, char end)
{
	char *rest;
	errno = 0;
	unsigned long long id = strtoull(*text, &rest, 10);
	bool is_number = **text >= '0' && **text <= '9' && !errno && id < UINT32_MAX;
	bool ends = *rest == end || (end == ',' && !*rest);
	if (!is_number || !ends) _exit(1);
	*text = *rest ? rest + 1 : rest;
	return (uint32_t)id;
}

void prepare_user(const char *text)
{
	if (!text) return;
	ids.uid = parse_id(&text, ':');
	ids.gid = parse_id(&text, ':');
	int count = getgroups(0, NULL);
	ids.groups = calloc(strlen(text) + 1, sizeof *ids.groups);
	ids.roots_groups = calloc((size_t)count + 1, sizeof *ids.roots_groups);
	if (count < 0 || !ids.groups || !ids.roots_groups || getgroups(count, ids.roots_groups) != count) _exit(1);
	ids.roots_group_count = (size_t)count;
	while (*text) ids.groups[ids.group_count++] = parse_id(&text, ',');
	is_known = ids.uid != 0;
}

bool has_user(void)
{
	return is_known;
}

bool is_user(uid_t uid)
{
	return is_known && uid == ids.uid;
}

/* Whoever cannot change the rights must not go on with the wrong ones. */
static void must(long result)
{
	if (result < 0) _exit(1);
}

/*
 * The effective ids only: the real ones stay root's, so the user gets no hold of the process. The system calls, because
 * libc's functions would do it in other threads too.
 */
void take_user(void)
{
	if (!is_known) return;
	must(next_syscall(SYS_setgroups, ids.group_count, ids.groups));
	must(next_syscall(SYS_setresgid, -1, ids.gid, -1));
	must(next_syscall(SYS_setresuid, -1, ids.uid, -1));
}

void leave_user(void)
{
	if (!is_known) return;
	int reason = errno;
	must(next_syscall(SYS_setresuid, -1, 0, -1));
	must(next_syscall(SYS_setresgid, -1, 0, -1));
	must(next_syscall(SYS_setgroups, ids.roots_group_count, ids.roots_groups));
	errno = reason;
}
