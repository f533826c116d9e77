#ifndef HOLDFAST_HOLD_H
#define HOLDFAST_HOLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "like.h"

#define GATE_SOCKET "gate.sock"
#define HOLD_FILE "hold.json"
/* "CRIU-" and a UUID, the name that criu gives the nftables table of its network lock. */
#define LOCK_PREFIX "CRIU-"
#define UUID_LENGTH 36
#define LOCK_NAME_SIZE (sizeof LOCK_PREFIX + UUID_LENGTH)

/*
 * 26 characters of it are what criu 4.2 uses: it keeps "inet NAME" in 32 bytes, and so cuts the name. Later
 * releases may not.
 */
#define CUT_LOCK_NAME_LENGTH 26

#define MAX_INHERITED 256
#define MAX_GROUPS 65536

struct hold_inherit {
	int fd;
	const char *path;
};

/* What the command line asked for; docs/native-programs.md documents each option. */
struct hold_options {
	const char *dir;
	/* Process whose pid and mount namespaces the program enters; 0 for none. */
	pid_t enter;
	/* Control group (v2) that the program is started in; NULL: ours. */
	const char *cgroup;
	/* Whose control groups and processors the program gets before; pid 0: ours. */
	struct like like;
	/* The action of criu that waits for the agent. */
	const char *gated_action;
	int64_t lease_ms, grace_ms;
	char lock_name[LOCK_NAME_SIZE];
	/* Files that the program finds open, opened with these ids where it runs. */
	struct hold_inherit inherit[MAX_INHERITED];
	int inherit_count;
	bool has_ids;
	uid_t uid;
	gid_t gid;
	gid_t groups[MAX_GROUPS];
	int group_count;
	/* The program with its arguments, ends with NULL. */
	char **program;
};

void parse_hold_options(int argc, char **argv, struct hold_options *options);

/* True for the gate of a restore: there a failure must end the processes behind it. */
bool is_restore_gate(const char *action);

/* ---- hold_gate.c: this program as criu's action script ---- */

/* What the action script sends first, as one packet. */
struct gate_message {
	char action[32];
	/* Pid of the tree's root as criu sees it; 0 when criu did not say. */
	int32_t init_pid;
};
/* The answers; the end of the connection without one means that the watchdog is gone, and fails too. */
#define GATE_PASS 'P'
#define GATE_FAIL 'F'

/* Runs the action that criu names in the environment; returns the exit code. */
int run_action(const char *action);

/* ---- hold_program.c ---- */

/* Starts the program; returns its pid in our pid namespace, -1 when it complained instead. */
pid_t start_program(const struct hold_options *options);

/* ---- hold_inherit.c ---- */

/* Opens what the program inherits; call in its process, after everything else that opens or closes. */
void open_inherited(const struct hold_options *options);

/* ---- hold_watch.c ---- */

/* Watches the program until it has ended; returns the exit code of this process. */
int watch(const struct hold_options *options, int listener, pid_t program);

/* ---- hold_undo.c ---- */

/* Takes the TCP sockets of a tree out of repair mode, in which criu leaves them when it is killed. */
void end_tcp_repair(pid_t tree_root, pid_t namespace_of);

/* Removes the nftables table, under the whole and the cut name, that criu made to lock the tree's connections. */
void remove_network_lock(const char *lock_name);

#endif
