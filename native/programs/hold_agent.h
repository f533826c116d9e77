#ifndef HOLDFAST_HOLD_AGENT_H
#define HOLDFAST_HOLD_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Longest line of the agent, with its end. */
#define AGENT_LINE_SIZE 1024

/* The conversation with the agent: lines from descriptor 0, JSON lines to descriptor 1. */
struct agent {
	char input[AGENT_LINE_SIZE];
	size_t input_length;
	/* An event could not be written. */
	bool lost;
};

/* Reads what is there; false at the end, on an error, and for a line that is too long. */
bool agent_read(struct agent *agent);

/* Takes the next whole line, without its end, into a buffer of AGENT_LINE_SIZE. */
bool agent_next_line(struct agent *agent, char *line);

void report_started(struct agent *agent, pid_t program);
void report_gate(struct agent *agent, const char *action, pid_t init_pid);
void report_refusal(struct agent *agent, const char *line, const char *reason);
void report_exit(struct agent *agent, int status, const char *outcome, int64_t held_ms);

#endif
