#include "hold_state.h"

#include <string.h>

#include "complain.h"

void hold_begin(struct hold_state *state, int64_t lease_ms, int64_t grace_ms, int64_t now_ms)
{
	*state = (struct hold_state){.lease_end_ms = now_ms + lease_ms, .grace_ms = grace_ms, .kill_at_ms = NEVER_MS};
}

/* Whoever decides, the program gets the grace time to end from the first moment that it should end. */
static void decide(struct hold_state *state, enum verdict verdict, int64_t now_ms)
{
	if (state->verdict == UNDECIDED) state->verdict = verdict;
	if (state->kill_at_ms == NEVER_MS) state->kill_at_ms = now_ms + state->grace_ms;
}

void hold_time_passed(struct hold_state *state, int64_t now_ms)
{
	if (now_ms >= state->lease_end_ms) decide(state, LEASE_ENDED, now_ms);
}

void hold_agent_lost(struct hold_state *state, int64_t now_ms)
{
	decide(state, AGENT_LOST, now_ms);
}

void hold_gate_lost(struct hold_state *state, int64_t now_ms)
{
	decide(state, FAILED, now_ms);
}

bool hold_gate_reached(struct hold_state *state)
{
	if (state->gate_reached || state->verdict != UNDECIDED) return false;
	state->gate_reached = true;
	return true;
}

static const char *renew_lease(struct hold_state *state, const char *text, int64_t now_ms)
{
	long long lease_ms;
	if (!parse_number(text, 0, LONGEST_MS, &lease_ms)) return "the lease is not a number of milliseconds";
	if (state->verdict != UNDECIDED && state->verdict != PASSED) return "the gate has failed";
	state->lease_end_ms = now_ms + lease_ms;
	hold_time_passed(state, now_ms);
	return NULL;
}

static const char *pass(struct hold_state *state)
{
	if (state->verdict == PASSED) return "the gate has passed already";
	if (state->verdict != UNDECIDED) return "the gate has failed";
	if (!state->gate_reached) return "the gate is not reached";
	state->verdict = PASSED;
	return NULL;
}

static const char *fail(struct hold_state *state, int64_t now_ms)
{
	if (state->verdict == PASSED) return "the gate has passed already";
	if (state->verdict != UNDECIDED) return "the gate has failed";
	decide(state, FAILED, now_ms);
	return NULL;
}

const char *hold_command(struct hold_state *state, const char *line, int64_t now_ms)
{
	if (!strncmp(line, "lease ", 6)) return renew_lease(state, line + 6, now_ms);
	if (!strcmp(line, "pass")) return pass(state);
	if (!strcmp(line, "fail") || !strncmp(line, "fail ", 5)) return fail(state, now_ms);
	return "the command is not known";
}

int64_t hold_next_deadline_ms(const struct hold_state *state)
{
	return state->kill_at_ms != NEVER_MS ? state->kill_at_ms : state->lease_end_ms;
}
