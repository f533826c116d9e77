#include "spank_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS "interval=TIME, keep=N, max-restarts=N"

/* A decimal number from min to max, with nothing behind it but `end`. */
static bool is_number(const char *text, const char *end, long min, long max)
{
	if (text == end || end - text > 9) return false;
	for (const char *digit = text; digit < end; digit++)
		if (*digit < '0' || *digit > '9') return false;
	long value = strtol(text, NULL, 10);
	return value >= min && value <= max;
}

static const char *check_interval(const char *value)
{
	const char *unit = value + strlen(value) - 1;
	bool is_time = *value && strchr("smhd", *unit) && is_number(value, unit, 1, 999999);
	return !strcmp(value, "auto") || is_time ? NULL : "a number and a unit, as in 30s, 10m, 2h, 1d, or auto";
}

static const char *check_keep(const char *value)
{
	return is_number(value, value + strlen(value), 1, 100000) ? NULL : "how many checkpoints are kept, 1 or more";
}

static const char *check_restarts(const char *value)
{
	return is_number(value, value + strlen(value), 0, 100000) ? NULL : "how often the job is requeued, 0 or more";
}

static const struct {
	const char *key;
	/* NULL when the value is good; else what is expected. */
	const char *(*check)(const char *value);
} known[] = {{"interval", check_interval}, {"keep", check_keep}, {"max-restarts", check_restarts}};
#define KNOWN_COUNT (sizeof known / sizeof *known)

bool check_options(const char *text, char *problem, size_t size)
{
	char copy[MAX_OPTIONS + 1];
	bool seen[KNOWN_COUNT] = {false};
	if (strlen(text) > MAX_OPTIONS) {
		snprintf(problem, size, "it is longer than %d characters", MAX_OPTIONS);
		return false;
	}
	strcpy(copy, text);
	char *rest = copy;
	for (char *item; (item = strsep(&rest, ","));) {
		char *value = item;
		char *key = strsep(&value, "=");
		size_t i = 0;
		while (i < KNOWN_COUNT && strcmp(known[i].key, key)) i++;
		if (i == KNOWN_COUNT || !value) {
			snprintf(problem, size, "'%.40s' is not known; known are %s", key, KEYS);
			return false;
		}
		if (seen[i]) {
			snprintf(problem, size, "%s is given twice", key);
			return false;
		}
		seen[i] = true;
		const char *expected = known[i].check(value);
		if (expected) {
			snprintf(problem, size, "%s=%.40s: give %s", key, value, expected);
			return false;
		}
	}
	return true;
}
