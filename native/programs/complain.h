#ifndef HOLDFAST_COMPLAIN_H
#define HOLDFAST_COMPLAIN_H

#include <stdbool.h>

/* Every error of the native programs is one line: "PROGRAM: STEP OBJECT: CAUSE". */

/* Where the line goes. A process that gives its descriptor 2 away keeps a copy here. */
extern int complaint_fd;

/* Written in front of every line. */
extern const char *complaint_program;

/* When not -1, die and die_errno write one byte to it, for a process that waits on the other end of a pipe. */
extern int failure_fd;

/* One line, without a cause. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line that ends with errno's text. */
void complain_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* complain_errno, then end this process with 1, without running exit handlers. */
_Noreturn void die_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* complain, then end this process with 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Leaves this process 0, 1 and 2 only: those that are closed are opened on /dev/null, so that nothing else can take
 * their numbers, and what else was inherited is closed.
 */
void secure_descriptors(void);

/* A decimal number from min to max, the whole text; false when it is anything else. */
bool parse_number(const char *text, long long min, long long max, long long *number);

#endif
