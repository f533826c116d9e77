#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "complain.h"
#include "hold.h"
#include "hold_agent.h"
#include "hold_state.h"

/* Action scripts that have connected but not spoken yet. criu runs them one after the other. */
#define MAX_CALLERS 8

enum { AGENT, PROGRAM, TIMER, SIGNALS, LISTENER, GATE, CALLERS, WATCHED = CALLERS + MAX_CALLERS };

struct watcher {
	const struct hold_options *options;
	struct hold_state state;
	struct agent agent;
	pid_t program;
	/* Root of the tree as criu sees it; 0 until an action named it. */
	pid_t init_pid;
	/* When the tree was stopped, or the gate of a restore reached; NEVER_MS before that. */
	int64_t held_since_ms;
	bool woken, killed;
	/* Descriptors in the order of the enumeration; -1 for none. */
	struct pollfd watched[WATCHED];
};

static int64_t now_ms(void)
{
	struct timespec now;
	/* Counts on while the node is suspended, as the coordinator's clock does. */
	if (clock_gettime(CLOCK_BOOTTIME, &now) < 0) die_errno("cannot read the clock");
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void close_watched(struct watcher *watcher, int index)
{
	close(watcher->watched[index].fd);
	watcher->watched[index].fd = -1;
}

static void set_timer(struct watcher *watcher)
{
	int64_t at_ms = hold_next_deadline_ms(&watcher->state);
	/* A program that did not die of SIGKILL yet has no further deadline. */
	if (watcher->killed) at_ms = 0;
	struct itimerspec timer = {.it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};
	if (timerfd_settime(watcher->watched[TIMER].fd, TFD_TIMER_ABSTIME, &timer, NULL) < 0)
		die_errno("cannot set the timer of the lease");
}

/* True when criu lets the tree run on after the gate, so that its sockets are wanted again. */
static bool tree_runs_on(const struct hold_options *options)
{
	if (is_restore_gate(options->gated_action)) return false;
	for (char **argument = options->program; *argument; argument++)
		if (!strcmp(*argument, "--leave-running") || !strcmp(*argument, "-R")) return true;
	return false;
}

static void end_repair(const struct watcher *watcher)
{
	end_tcp_repair(watcher->options->enter ? 0 : watcher->init_pid, watcher->options->enter);
}

static void answer(struct watcher *watcher, int index, char byte)
{
	if (send(watcher->watched[index].fd, &byte, 1, MSG_NOSIGNAL) != 1 && byte == GATE_PASS)
		complain_errno("cannot open the gate");
	close_watched(watcher, index);
}

static void answer_gate(struct watcher *watcher)
{
	if (watcher->watched[GATE].fd < 0 || watcher->state.verdict == UNDECIDED) return;
	answer(watcher, GATE, watcher->state.verdict == PASSED ? GATE_PASS : GATE_FAIL);
}

static void open_gate_wait(struct watcher *watcher, int caller, const struct gate_message *message)
{
	if (!hold_gate_reached(&watcher->state)) {
		answer(watcher, caller, GATE_FAIL);
		return;
	}
	watcher->watched[GATE].fd = watcher->watched[caller].fd;
	watcher->watched[caller].fd = -1;
	/*
	 * The images hold the state of the connections, and the network lock keeps their packets. Out of repair
	 * mode now, the sockets survive a sudden end of criu, after which nobody could do it in time.
	 */
	if (tree_runs_on(watcher->options)) end_repair(watcher);
	report_gate(&watcher->agent, message->action, message->init_pid);
}

static void hear_caller(struct watcher *watcher, int caller)
{
	struct gate_message message;
	ssize_t length = recv(watcher->watched[caller].fd, &message, sizeof message, MSG_DONTWAIT);
	if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
	bool valid = length == (ssize_t)sizeof message && memchr(message.action, 0, sizeof message.action) &&
		     strspn(message.action, "abcdefghijklmnopqrstuvwxyz-") == strlen(message.action);
	if (!valid) {
		close_watched(watcher, caller);
		return;
	}
	if (message.init_pid > 0) watcher->init_pid = message.init_pid;
	bool gated = !strcmp(message.action, watcher->options->gated_action);
	bool holds = gated || !strcmp(message.action, "pre-dump") || !strcmp(message.action, "network-lock");
	if (holds && watcher->held_since_ms == NEVER_MS) watcher->held_since_ms = now_ms();
	if (gated) open_gate_wait(watcher, caller, &message);
	else close_watched(watcher, caller);
}

static void accept_caller(struct watcher *watcher)
{
	int fd = accept4(watcher->watched[LISTENER].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) return;
	struct ucred peer;
	socklen_t length = sizeof peer;
	bool is_root = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == 0;
	for (int i = CALLERS; is_root && i < WATCHED; i++)
		if (watcher->watched[i].fd < 0) {
			watcher->watched[i].fd = fd;
			return;
		}
	close(fd);
}

static void obey_agent(struct watcher *watcher)
{
	char line[AGENT_LINE_SIZE];
	if (!agent_read(&watcher->agent)) {
		hold_agent_lost(&watcher->state, now_ms());
		watcher->watched[AGENT].fd = -1;
		return;
	}
	while (agent_next_line(&watcher->agent, line)) {
		const char *refusal = hold_command(&watcher->state, line, now_ms());
		if (refusal) report_refusal(&watcher->agent, line, refusal);
		else if (!strncmp(line, "fail", 4)) complain("the agent failed the gate:%s", line + 4);
	}
}

/*
 * Who has stopped criu may have done so where its death would harm the tree, for it has code of its own in there until it gets to the
 * gate. There it will fail, and undo what it did.
 */
static void wake_when_decided(struct watcher *watcher)
{
	if (watcher->woken || watcher->state.kill_at_ms == NEVER_MS) return;
	kill(watcher->program, SIGCONT);
	watcher->woken = true;
}

static void kill_when_due(struct watcher *watcher)
{
	if (watcher->killed || now_ms() < watcher->state.kill_at_ms) return;
	complain("the program %d did not end in time and is killed", (int)watcher->program);
	/* While criu still keeps the tree stopped, nothing of it can meet a socket in repair mode. */
	if (tree_runs_on(watcher->options)) end_repair(watcher);
	/* With the helper that it may wait for. Of a restore the group may hold more, and the kernel ends that with criu. */
	kill(is_restore_gate(watcher->options->gated_action) ? watcher->program : -watcher->program, SIGKILL);
	watcher->killed = true;
}

static void handle_events(struct watcher *watcher)
{
	struct pollfd *watched = watcher->watched;
	/* Time first: a lease that has ended is not revived by a line that waited longer than it. */
	hold_time_passed(&watcher->state, now_ms());
	if (watched[SIGNALS].revents) {
		hold_agent_lost(&watcher->state, now_ms());
		watched[SIGNALS].fd = -1;
	}
	/* Before the agent's lines, so that a pass meets a gate that is known to be reached, and still there. */
	for (int i = CALLERS; i < WATCHED; i++)
		if (watched[i].fd >= 0 && watched[i].revents) hear_caller(watcher, i);
	if (watched[GATE].fd >= 0 && watched[GATE].revents) {
		hold_gate_lost(&watcher->state, now_ms());
		close_watched(watcher, GATE);
	}
	if (watched[LISTENER].revents) accept_caller(watcher);
	if (watched[AGENT].fd >= 0 && watched[AGENT].revents) obey_agent(watcher);
	if (watcher->agent.lost) hold_agent_lost(&watcher->state, now_ms());
	answer_gate(watcher);
	wake_when_decided(watcher);
	kill_when_due(watcher);
}

static void set_up(struct watcher *watcher, int listener)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	for (int i = 0; i < WATCHED; i++) watcher->watched[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	watcher->watched[AGENT].fd = STDIN_FILENO;
	watcher->watched[LISTENER].fd = listener;
	watcher->watched[PROGRAM].fd = pidfd_open(watcher->program, 0);
	watcher->watched[TIMER].fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) die_errno("cannot block signals");
	watcher->watched[SIGNALS].fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (watcher->watched[PROGRAM].fd < 0 || watcher->watched[TIMER].fd < 0 || watcher->watched[SIGNALS].fd < 0)
		die_errno("cannot watch the program %d", (int)watcher->program);
}

/* A program that ended without a decision has failed by its own; one that was killed by somebody, says so. */
static const char *outcome(const struct watcher *watcher, int status)
{
	switch (watcher->state.verdict) {
	case LEASE_ENDED: return "lease";
	case AGENT_LOST: return "agent-lost";
	case FAILED: return "failed";
	case PASSED: return WIFSIGNALED(status) ? "killed" : "passed";
	default: return WIFSIGNALED(status) ? "killed" : "failed";
	}
}

static int finish(struct watcher *watcher)
{
	int status = 0;
	while (waitpid(watcher->program, &status, 0) < 0)
		if (errno != EINTR) die_errno("cannot wait for the program %d", (int)watcher->program);
	int64_t held_ms = watcher->held_since_ms == NEVER_MS ? 0 : now_ms() - watcher->held_since_ms;
	if (WIFSIGNALED(status)) {
		if (!is_restore_gate(watcher->options->gated_action)) end_repair(watcher);
		remove_network_lock(watcher->options->lock_name);
	}
	report_exit(&watcher->agent, status, outcome(watcher, status), held_ms);
	return watcher->state.verdict == PASSED && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

int watch(const struct hold_options *options, int listener, pid_t program)
{
	struct watcher watcher = {.options = options, .program = program, .held_since_ms = NEVER_MS};
	set_up(&watcher, listener);
	hold_begin(&watcher.state, options->lease_ms, options->grace_ms, now_ms());
	report_started(&watcher.agent, program);
	do {
		set_timer(&watcher);
		if (poll(watcher.watched, WATCHED, -1) < 0) {
			if (errno == EINTR) continue;
			die_errno("cannot wait for events");
		}
		handle_events(&watcher);
	} while (!watcher.watched[PROGRAM].revents);
	return finish(&watcher);
}
