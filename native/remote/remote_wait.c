#include "remote_wait.h"

#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#include "remote_proc.h"

#define SPIN_NS 500000
#define SHORTEST_SLEEP_NS 100000
#define LONGEST_SLEEP_NS 2000000
#define SHARE_SLEPT 8 /* one part of so many of the time that a wait has lasted */

uint64_t remote_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool remote_pause(uint64_t start_ns)
{
	uint64_t waited = remote_now_ns() - start_ns, sleep = waited / SHARE_SLEPT;
	if (waited <= SPIN_NS) {
		sched_yield();
		return false;
	}
	if (sleep < SHORTEST_SLEEP_NS) sleep = SHORTEST_SLEEP_NS;
	if (sleep > LONGEST_SLEEP_NS) sleep = LONGEST_SLEEP_NS;
	nanosleep(&(struct timespec){.tv_nsec = (long)sleep}, NULL);
	return true;
}

bool remote_has_ended(pid_t tid)
{
	/* One that /proc does not show says nothing: descriptors may have run out. A wait for what is gone fails. */
	struct remote_status status;
	return remote_status(tid, &status) && (status.state == 'Z' || status.state == 'X');
}

/*
 * Never a wait that blocks. When the whole process is killed, the kernel tells of the leader's end only after all other threads
 * are gone, and those that the caller traces go only when it waits for them: it would wait for ever. They need no wait of
 * their own, for the kernel lets them go with their tracer.
 */
static int wait_for_stop(pid_t tid, uint64_t limit_ns)
{
	uint64_t start = remote_now_ns();
	int status = 0;
	for (bool has_ended = false; !has_ended; has_ended = remote_pause(start) && remote_has_ended(tid)) {
		pid_t changed = waitpid(tid, &status, __WALL | WNOHANG);
		if (changed) return changed == tid && WIFSTOPPED(status) ? status : 0;
		if (remote_now_ns() - start > limit_ns) return 0;
	}
	waitpid(tid, &status, __WALL | WNOHANG); /* It may have ended since the last look, and can be reaped. */
	return 0;
}

int remote_wait_for_stop(pid_t tid)
{
	return wait_for_stop(tid, UINT64_MAX);
}

int remote_wait_for_stop_within(pid_t tid, unsigned limit_ms)
{
	return wait_for_stop(tid, limit_ms * UINT64_C(1000000));
}
