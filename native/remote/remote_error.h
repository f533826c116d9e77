/* Why something could not be done to another process. */
#ifndef HOLDFAST_REMOTE_ERROR_H
#define HOLDFAST_REMOTE_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum remote_outcome {
	REMOTE_GONE,    /* the process does not exist any more */
	REMOTE_REFUSED, /* this process can never be treated so: use another way */
	REMOTE_FAILED,  /* this attempt failed: another may succeed */
};

struct remote_error {
	enum remote_outcome outcome;
	int number;     /* errno, or 0 */
	char text[160]; /* object and cause, without the errno's words */
};

/* Always false, so that a function can return it. */
bool remote_fail(struct remote_error *error, enum remote_outcome outcome, int number, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#ifdef __cplusplus
}
#endif

#endif
