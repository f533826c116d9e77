#ifndef HOLDFAST_PRELOAD_SNAPSHOT_H
#define HOLDFAST_PRELOAD_SNAPSHOT_H

#include <sys/types.h>

/*
 * HOLDFAST_SNAPSHOT=FILE: before the post-dump script every process that criu holds gets a clone that never runs (see
 * ../remote/remote_clone.h), so that its memory can be read after it was let go. FILE, made by a rename, has one line per
 * process: "PID CLONE", or "PID 0 REASON". No failure of it is one of the dump.
 */
void prepare_snapshot(void);

/* What criu's ptrace(2) has done: which threads are its tracees, and with which options. */
void note_trace(long request, pid_t tid, unsigned long data);

/* criu is about to run the script of this name. */
void note_script(const char *name);

#endif
