#ifndef HOLDFAST_PROCESS_H
#define HOLDFAST_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); 0 when there is none. */
unsigned long long process_start(pid_t pid);

/* Calls visit for every process that /proc shows; stops early when visit returns false. */
void each_process(bool (*visit)(pid_t pid, void *context), void *context);

/* Parent of a process, -1 when there is no such process. */
pid_t process_parent(pid_t pid);

/* State letter of a process as /proc/PID/stat shows it (Z for a zombie), 0 when there is no such process. */
char process_state(pid_t pid);

#endif
