#include "hold_agent.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool agent_read(struct agent *agent)
{
	size_t room = sizeof agent->input - agent->input_length;
	if (!room) return false;
	ssize_t length = read(STDIN_FILENO, agent->input + agent->input_length, room);
	if (length < 0) return errno == EINTR || errno == EAGAIN;
	agent->input_length += length;
	return length > 0;
}

bool agent_next_line(struct agent *agent, char *line)
{
	char *end = memchr(agent->input, '\n', agent->input_length);
	if (!end) return false;
	size_t length = end - agent->input;
	memcpy(line, agent->input, length);
	line[length] = 0;
	agent->input_length -= length + 1;
	memmove(agent->input, end + 1, agent->input_length);
	return true;
}

/* An agent that does not read is as lost as one that has gone: the watchdog must never wait for it. */
static void report(struct agent *agent, const char *text)
{
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
	if (agent->lost) return;
	bool ready = poll(&output, 1, 0) == 1 && (output.revents & POLLOUT);
	size_t length = strlen(text);
	if (!ready || write(STDOUT_FILENO, text, length) != (ssize_t)length) agent->lost = true;
}

void report_started(struct agent *agent, pid_t program)
{
	char text[64];
	snprintf(text, sizeof text, "{\"event\":\"started\",\"pid\":%d}\n", (int)program);
	report(agent, text);
}

void report_gate(struct agent *agent, const char *action, pid_t init_pid)
{
	char text[128];
	snprintf(text, sizeof text, "{\"event\":\"gate\",\"action\":\"%s\",\"init_pid\":%d}\n", action, (int)init_pid);
	report(agent, text);
}

void report_refusal(struct agent *agent, const char *line, const char *reason)
{
	char text[256], command[16];
	/* Only the name of a known form is repeated, so nothing in it needs an escape. */
	size_t length = strspn(line, "abcdefghijklmnopqrstuvwxyz");
	snprintf(command, sizeof command, "%.*s", (int)length, line);
	snprintf(text, sizeof text, "{\"event\":\"refused\",\"command\":\"%s\",\"reason\":\"%s\"}\n", command, reason);
	report(agent, text);
}

void report_exit(struct agent *agent, int status, const char *outcome, int64_t held_ms)
{
	char text[192], code[16] = "null", signal[16] = "null";
	if (WIFSIGNALED(status)) snprintf(signal, sizeof signal, "%d", WTERMSIG(status));
	else snprintf(code, sizeof code, "%d", WEXITSTATUS(status));
	snprintf(text, sizeof text,
		 "{\"event\":\"exit\",\"code\":%s,\"signal\":%s,\"outcome\":\"%s\",\"held_ms\":%" PRId64 "}\n", code, signal,
		 outcome, held_ms);
	report(agent, text);
}
