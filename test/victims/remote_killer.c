/*
 * remote_killer ROUNDS SEED: takes userfaultfds of a process with several threads until it is gone; it is killed at a random
 * moment of that. Says "killed ROUNDS interrupted N": in N rounds an attempt was under way. A round that does not end is told as
 * "round R hangs", and the whole process group is killed: the caller starts this program in one of its own.
 * Linked with native/remote.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "remote_userfaultfd.h"

#define THREADS 6
#define LONGEST_LIFE_US 1500
#define ROUND_LIMIT_S 10

struct round {
	int number;
	pid_t victim;
	long life_us;
	sem_t is_over;
};

static void *sleep_for_ever(void *unused)
{
	for (;;) pause();
	return unused;
}

/* Returns when all threads of the victim have been made. */
static pid_t start_victim(void)
{
	int made[2];
	char byte;
	if (pipe(made)) exit(2);
	pid_t pid = fork();
	if (pid < 0) exit(2);
	if (pid == 0) {
		pthread_t thread;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 1; i < THREADS; i++)
			if (pthread_create(&thread, NULL, sleep_for_ever, NULL)) _exit(2);
		if (write(made[1], "", 1) != 1) _exit(2);
		sleep_for_ever(NULL);
	}
	close(made[1]);
	if (read(made[0], &byte, 1) != 1) exit(2);
	close(made[0]);
	return pid;
}

static void *kill_and_watch(void *argument)
{
	struct round *round = argument;
	struct timespec deadline;
	nanosleep(&(struct timespec){.tv_nsec = round->life_us * 1000}, NULL);
	kill(round->victim, SIGKILL);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += ROUND_LIMIT_S;
	while (sem_timedwait(&round->is_over, &deadline) < 0) {
		if (errno == EINTR) continue;
		printf("round %d hangs\n", round->number);
		fflush(stdout);
		kill(0, SIGKILL);
	}
	return NULL;
}

/* Whether the end came in the middle of an attempt. */
static bool take_until_gone(pid_t victim)
{
	struct remote_error error;
	bool is_interrupted = false;
	for (;;) {
		int fd = remote_userfaultfd(victim, &error);
		if (fd >= 0) {
			close(fd);
			continue;
		}
		if (error.outcome == REMOTE_GONE) return is_interrupted;
		if (error.outcome == REMOTE_REFUSED) {
			printf("refused: %s: %s\n", error.text, strerror(error.number));
			exit(1);
		}
		is_interrupted |= error.number != ETIMEDOUT;
	}
}

static bool run_round(struct round *round)
{
	pthread_t killer;
	int status;
	round->victim = start_victim();
	if (sem_init(&round->is_over, 0, 0) || pthread_create(&killer, NULL, kill_and_watch, round)) exit(2);
	bool is_interrupted = take_until_gone(round->victim);
	if (waitpid(round->victim, &status, 0) != round->victim || !WIFSIGNALED(status)) exit(2);
	sem_post(&round->is_over);
	pthread_join(killer, NULL);
	return is_interrupted;
}

int main(int count, char **arguments)
{
	if (count < 3) return 2;
	int rounds = atoi(arguments[1]), interrupted = 0;
	unsigned seed = (unsigned)atoi(arguments[2]);
	for (int number = 0; number < rounds; number++) {
		struct round round = {.number = number, .life_us = rand_r(&seed) % LONGEST_LIFE_US};
		interrupted += run_round(&round);
	}
	printf("killed %d interrupted %d\n", rounds, interrupted);
	return 0;
}
