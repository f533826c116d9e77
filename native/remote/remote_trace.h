/* ptrace(2) as the kernel has it: libc's function varies its arguments with the request. */
#ifndef HOLDFAST_REMOTE_TRACE_H
#define HOLDFAST_REMOTE_TRACE_H

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline long remote_trace(int request, pid_t tid, unsigned long address, unsigned long data)
{
	return syscall(SYS_ptrace, (long)request, (long)tid, address, data);
}

#endif
