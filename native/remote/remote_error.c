#include "remote_error.h"

#include <stdarg.h>
#include <stdio.h>

bool remote_fail(struct remote_error *error, enum remote_outcome outcome, int number, const char *format, ...)
{
	va_list arguments;
	error->outcome = outcome;
	error->number = number;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	return false;
}
