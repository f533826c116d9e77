#include "complain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int complaint_fd = STDERR_FILENO;
const char *complaint_program = "holdfast";
int failure_fd = -1;

/* One write(2), so that lines of several processes do not mix. */
static void write_line(const char *format, va_list arguments, const char *cause)
{
	char line[1024];
	int used = snprintf(line, sizeof line, "%s: ", complaint_program);
	used += vsnprintf(line + used, sizeof line - used, format, arguments);
	if (used > (int)sizeof line - 2) used = sizeof line - 2;
	if (cause) used += snprintf(line + used, sizeof line - used, ": %s", cause);
	if (used > (int)sizeof line - 2) used = sizeof line - 2;
	line[used++] = '\n';
	/* Nobody is left to tell when the complaint itself cannot be written. */
	if (write(complaint_fd, line, used) < 0) return;
}

void complain(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	write_line(format, arguments, NULL);
	va_end(arguments);
}

void complain_errno(const char *format, ...)
{
	const char *cause = strerror(errno);
	va_list arguments;
	va_start(arguments, format);
	write_line(format, arguments, cause);
	va_end(arguments);
}

static _Noreturn void end_in_failure(void)
{
	if (failure_fd >= 0 && write(failure_fd, "!", 1) < 0) _exit(1);
	_exit(1);
}

void die_errno(const char *format, ...)
{
	const char *cause = strerror(errno);
	va_list arguments;
	va_start(arguments, format);
	write_line(format, arguments, cause);
	va_end(arguments);
	end_in_failure();
}

void die(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	write_line(format, arguments, NULL);
	va_end(arguments);
	end_in_failure();
}

void secure_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) _exit(1);
	if (close_range(3, ~0U, 0) < 0) die_errno("cannot close inherited descriptors");
}

bool parse_number(const char *text, long long min, long long max, long long *number)
{
	/* strtoll would accept white space and signs that no caller means. */
	if (!text || *text < '0' || *text > '9') return false;
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno || *end || value < min || value > max) return false;
	*number = value;
	return true;
}
