/*
 * holdfast-hold: the watchdog of one tree while criu holds it (invariants F1, F2).
 *
 * criu runs as its child and stops at the gate, an action script that is this same program. The gate opens
 * only when the agent says so while its lease lives. Whatever else happens (the lease ends, the agent, this
 * process or criu dies) it fails, and the tree runs on, or nothing of it starts.
 */
#include "hold.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "complain.h"
#include "process.h"
#include "state_file.h"

bool is_restore_gate(const char *action)
{
	return !strcmp(action, "pre-resume");
}

/* Bound by its short name from within the directory: the name of a socket has room for 107 bytes only. */
static int listen_at_gate(const char *dir)
{
	if (chdir(dir) < 0) die_errno("cannot change to --dir %s", dir);
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = GATE_SOCKET};
	if (unlink(GATE_SOCKET) < 0 && errno != ENOENT) die_errno("cannot remove the old %s/%s", dir, GATE_SOCKET);
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0) die_errno("cannot make the gate's socket");
	mode_t before = umask(0177);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die_errno("cannot bind %s/%s", dir, GATE_SOCKET);
	umask(before);
	if (listen(listener, 16) < 0) die_errno("cannot listen at %s/%s", dir, GATE_SOCKET);
	return listener;
}

/*
 * Before criu can make its table (invariant L1): should watchdog and criu be killed together, whoever cleans up
 * finds its name here.
 */
static void record_hold(const struct hold_options *options)
{
	char text[256];
	snprintf(text, sizeof text, "{\"hold_pid\":%d,\"hold_start\":%llu,\"lock_table\":\"%.*s\"}\n", (int)getpid(),
		 process_start(getpid()), CUT_LOCK_NAME_LENGTH, options->lock_name);
	if (!write_state_file(AT_FDCWD, HOLD_FILE, text)) die_errno("cannot write %s/%s", options->dir, HOLD_FILE);
}

int main(int argc, char **argv)
{
	complaint_program = "holdfast-hold";
	const char *action = getenv("CRTOOLS_SCRIPT_ACTION");
	if (action) return run_action(action);

	secure_descriptors();
	/* Static, because it has room for many groups. */
	static struct hold_options options;
	parse_hold_options(argc, argv, &options);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		die_errno("cannot set the signals of the watchdog");
	int listener = listen_at_gate(options.dir);
	record_hold(&options);
	pid_t program = start_program(&options);
	int code = program > 0 ? watch(&options, listener, program) : 1;
	unlink(GATE_SOCKET);
	unlink(HOLD_FILE);
	return code;
}
