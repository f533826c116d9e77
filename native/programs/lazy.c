/*
 * holdfast-lazy: the watchdog of one tree whose memory is still being filled while it runs (invariant R1).
 *
 * The kernel gives a process zeros for its missing pages as soon as nobody holds its userfaultfd. So this program holds
 * a copy of each, and ends the tree before it lets go of them, unless the agent says that nothing is missing any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "complain.h"
#include "lazy.h"

enum { AGENT, SIGNALS, LISTENER, CRIU, INIT, WATCHED };

struct watcher {
	struct lazy_options options;
	struct pollfd watched[WATCHED];
	pid_t agent;
	char input[256];
	size_t input_length;
	bool done;
};

static void report(const char *text)
{
	/* An agent that does not listen any more has closed our input, too. */
	if (write(STDOUT_FILENO, text, strlen(text)) < 0) complain_errno("cannot tell the agent");
}

/* A child of the tree has a userfaultfd of its own, and the agent got it from the kernel. */
static void keep(struct watcher *watcher, int fd)
{
	int agent = pidfd_open(watcher->agent, 0);
	int kept = agent < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, agent, fd, 0);
	if (kept < 0) complain_errno("cannot keep descriptor %d of the agent", fd);
	if (agent >= 0) close(agent);
}

static void obey(struct watcher *watcher, const char *line)
{
	long long fd;
	if (!strcmp(line, "done")) watcher->done = true;
	else if (!strncmp(line, "keep ", 5) && parse_number(line + 5, 0, 1 << 30, &fd)) keep(watcher, (int)fd);
	else complain("the agent said what is not known: %s", line);
}

/* False when the agent is gone. */
static bool hear_agent(struct watcher *watcher)
{
	size_t room = sizeof watcher->input - watcher->input_length;
	ssize_t length = read(STDIN_FILENO, watcher->input + watcher->input_length, room);
	if (length < 0) return errno == EINTR || errno == EAGAIN;
	if (length == 0) return false;
	watcher->input_length += (size_t)length;
	for (char *end; (end = memchr(watcher->input, '\n', watcher->input_length));) {
		*end = 0;
		obey(watcher, watcher->input);
		size_t line_length = (size_t)(end - watcher->input) + 1;
		watcher->input_length -= line_length;
		memmove(watcher->input, end + 1, watcher->input_length);
	}
	return watcher->input_length < sizeof watcher->input;
}

static void hear_criu(struct watcher *watcher)
{
	struct lazy_message message;
	char text[96];
	switch (receive_message(watcher->watched[CRIU].fd, &message)) {
	case LAZY_PROCESS:
		snprintf(text, sizeof text, "{\"event\":\"process\",\"image_pid\":%d,\"fd\":%d}\n", message.pid, message.fd);
		report(text);
		break;
	case LAZY_RESTORED: report("{\"event\":\"restored\"}\n"); break;
	case LAZY_NOTHING: break;
	case LAZY_END:
		close(watcher->watched[CRIU].fd);
		watcher->watched[CRIU].fd = -1;
		break;
	}
}

/* Everything in the cell ends with its init. Only when it is gone may the userfaultfds go. */
static void end_tree(struct watcher *watcher, const char *reason)
{
	struct pollfd *init = &watcher->watched[INIT];
	write_reason(watcher->options.reason_path, reason);
	complain("%s: the tree is ended", reason);
	if (syscall(SYS_pidfd_send_signal, init->fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		complain_errno("cannot end the tree's init %d", (int)watcher->options.init_pid);
	while (poll(init, 1, -1) < 0 && errno == EINTR) {
	}
}

static void set_up(struct watcher *watcher)
{
	sigset_t signals;
	struct rlimit files;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) die_errno("cannot block signals");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (int i = 0; i < WATCHED; i++) watcher->watched[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	watcher->agent = getppid();
	watcher->watched[AGENT].fd = STDIN_FILENO;
	watcher->watched[SIGNALS].fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	watcher->watched[INIT].fd = pidfd_open(watcher->options.init_pid, 0);
	if (watcher->watched[SIGNALS].fd < 0 || watcher->watched[INIT].fd < 0)
		die_errno("cannot watch process %d", (int)watcher->options.init_pid);
	watcher->watched[LISTENER].fd = listen_for_criu(watcher->options.socket_path);
	report("{\"event\":\"listening\"}\n");
}

static int watch(struct watcher *watcher)
{
	struct pollfd *watched = watcher->watched;
	for (;;) {
		if (poll(watched, WATCHED, -1) < 0) {
			if (errno == EINTR) continue;
			die_errno("cannot wait for events");
		}
		/* The cell is gone: nobody is left to meet a missing page. */
		if (watched[INIT].revents) return 0;
		if (watched[CRIU].fd >= 0 && watched[CRIU].revents) hear_criu(watcher);
		if (watched[LISTENER].revents && watched[CRIU].fd < 0) watched[CRIU].fd = accept_criu(watched[LISTENER].fd);
		bool agent_lives = !watched[AGENT].revents || hear_agent(watcher);
		if (watcher->done) return 0;
		if (agent_lives && !watched[SIGNALS].revents) continue;
		end_tree(watcher, agent_lives ? "the filling of its memory was ended by a signal"
					      : "the agent ended while it filled the memory");
		return 1;
	}
}

int main(int argc, char **argv)
{
	struct watcher watcher = {0};
	complaint_program = "holdfast-lazy";
	secure_descriptors();
	if (!parse_lazy_options(argc, argv, &watcher.options)) return 1;
	set_up(&watcher);
	return watch(&watcher);
}
