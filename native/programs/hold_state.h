#ifndef HOLDFAST_HOLD_STATE_H
#define HOLDFAST_HOLD_STATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The decisions of the watchdog (invariants F1, F2), without effects. All times are CLOCK_BOOTTIME in
 * milliseconds. A verdict is final: once the gate has passed or failed, nothing changes that.
 */
enum verdict { UNDECIDED, PASSED, FAILED, LEASE_ENDED, AGENT_LOST };

#define NEVER_MS INT64_MAX

struct hold_state {
	enum verdict verdict;
	bool gate_reached;
	int64_t lease_end_ms;
	int64_t grace_ms;
	/* When the program is killed if it still runs. */
	int64_t kill_at_ms;
};

/* Longest lease or grace that is accepted: a day. */
#define LONGEST_MS 86400000

void hold_begin(struct hold_state *state, int64_t lease_ms, int64_t grace_ms, int64_t now_ms);

/* Call before every other decision, and when next_deadline_ms has come. */
void hold_time_passed(struct hold_state *state, int64_t now_ms);

void hold_agent_lost(struct hold_state *state, int64_t now_ms);

/* The gate's own end of the connection went away: it can no longer be told to pass. */
void hold_gate_lost(struct hold_state *state, int64_t now_ms);

/* True when this is the gate's first visit and it has to wait; false when it must be refused. */
bool hold_gate_reached(struct hold_state *state);

/* A line of the agent. Returns NULL, or why it was refused. */
const char *hold_command(struct hold_state *state, const char *line, int64_t now_ms);

int64_t hold_next_deadline_ms(const struct hold_state *state);

#endif
