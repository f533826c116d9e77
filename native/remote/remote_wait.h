/* Waits for threads that the caller traces. Each ends when the thread does, however it ends. */
#ifndef HOLDFAST_REMOTE_WAIT_H
#define HOLDFAST_REMOTE_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* CLOCK_MONOTONIC */
uint64_t remote_now_ns(void);

/* Lets others run: at first only that, then for longer the longer the wait has lasted. True when it has become a long one. */
bool remote_pause(uint64_t start_ns);

/*
 * A thread that has ended, whether it can be waited for or not: a leader cannot before the other threads have ended and those
 * that are traced have been waited for.
 */
bool remote_has_ended(pid_t tid);

/* The next stop's status; 0 when the thread has ended, or is not the caller's. */
int remote_wait_for_stop(pid_t tid);

/* The same; 0 also when it has not stopped within limit_ms. A thread in a frozen control group (v1) stops when that is thawed. */
int remote_wait_for_stop_within(pid_t tid, unsigned limit_ms);

#endif
