/* Descriptors on their way between us and a process in which system calls can be made. */
#ifndef HOLDFAST_REMOTE_DESCRIPTOR_H
#define HOLDFAST_REMOTE_DESCRIPTOR_H

#include "remote_call.h"

/* Our copy of the thread's descriptor, or -1 with errno. The thread's process is `pid`. */
int remote_take_descriptor(pid_t pid, pid_t tid, int remote_fd);

/*
 * Gives the process a copy of our descriptor. The process's number for it, or -1. The process has one more
 * descriptor afterwards, and nothing else.
 */
int remote_give_descriptor(struct remote_call *call, pid_t pid, int fd, struct remote_error *error);

#endif
