/*
 * remote_injector PID COUNT [storm]: takes COUNT userfaultfds of the process, one after the other. With "storm" numbered
 * signals are sent all the time meanwhile, and SIGSTOP with SIGCONT now and then. Says "taken N signals A B". An attempt for
 * which the process did not stop in time is repeated, as its contract allows: a busy machine may not run a thread for that long.
 * Linked with native/remote.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "remote_userfaultfd.h"

static atomic_bool is_over;
static int sent[2];
static pid_t victim;

static void send_one(int kind)
{
	union sigval number = {.sival_int = sent[kind]};
	if (sigqueue(victim, SIGRTMIN + kind, number) == 0) sent[kind]++;
	/* EAGAIN: the queue is full, because the process is stopped. */
	else if (errno != EAGAIN) exit(2);
}

static void *storm(void *unused)
{
	for (int turn = 0; !is_over; turn++) {
		send_one(turn & 1);
		if (turn % 64 == 0) kill(victim, SIGSTOP);
		if (turn % 64 == 4) kill(victim, SIGCONT);
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	kill(victim, SIGCONT);
	return unused;
}

int main(int count, char **arguments)
{
	struct remote_error error;
	pthread_t thread;
	if (count < 3) return 2;
	victim = atoi(arguments[1]);
	int wanted = atoi(arguments[2]), taken = 0;
	bool is_storm = count > 3;
	if (is_storm && pthread_create(&thread, NULL, storm, NULL)) return 2;
	while (taken < wanted) {
		int fd = remote_userfaultfd(victim, &error);
		if (fd < 0 && error.outcome == REMOTE_FAILED && error.number == ETIMEDOUT) continue;
		if (fd < 0) {
			printf("after %d: %d %s: %s\n", taken, error.outcome, error.text, strerror(error.number));
			return 1;
		}
		close(fd);
		taken++;
	}
	is_over = true;
	if (is_storm) pthread_join(thread, NULL);
	printf("taken %d signals %d %d\n", taken, sent[0], sent[1]);
	return 0;
}
