#ifndef HOLDFAST_CELL_H
#define HOLDFAST_CELL_H

#include <limits.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "like.h"

/* What the command line asked for; docs/native-programs.md documents each option. */
struct cell_options {
	/* Wait for a root that CRIU will restore, instead of starting one. */
	bool adopt;
	const char *dir;
	/* Whose control groups, processors and limits the cell gets; pid 0: our own. */
	struct like like;
	struct rlimit64 limits[RLIM_NLIMITS];
	/* start: pid that the root gets in the cell; adopt: the last pid that counts as used. */
	pid_t first_pid;
	/* adopt: pid in the cell of the root that will be restored. */
	pid_t root_pid;
	/* The rest is for start only. */
	const char *root_program;
	bool stay;
	uid_t uid;
	gid_t gid;
	gid_t groups[NGROUPS_MAX];
	int group_count;
	const char *cwd;
	const char *output;
	/* Environment of the job, ends with NULL. */
	char **environment;
	/* Command of the job with its arguments, ends with NULL. */
	char **command;
};

/* Between supervisor and pid 1, over a socket pair; the end of one side closes it for the other. */
struct cell_message {
	enum { CELL_GO, CELL_READY, CELL_ROOT_ENDED } kind;
	/* CELL_ROOT_ENDED: wait status of the root. */
	int status;
};

/* True when a whole message came; false at the end of the other side. */
bool receive_message(int channel, struct cell_message *message);
bool send_message(int channel, const struct cell_message *message);

/* Points 0, 1 and 2 of this process at /dev/null. */
void drop_stdio(void);

/* NAME=VALUE entries, each ended by a NUL, until the end of a descriptor. Ends this process on failure. */
char **read_environment(int fd);

void parse_cell_options(int argc, char **argv, struct cell_options *options);

/* Outer process: makes the cell and records its end. Returns the exit code of this program. */
int supervise(struct cell_options *options);

/* Pid 1 of the cell. */
_Noreturn void run_init(const struct cell_options *options, int channel);

/* The root before its exec: becomes the user, opens its files, runs the root program. */
_Noreturn void run_root(const struct cell_options *options);

#endif
