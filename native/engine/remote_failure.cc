#include "remote_failure.h"

#include <cerrno>

namespace holdfast {

namespace {

const char* code_of(const remote_error& error) {
  switch (error.outcome) {
    case REMOTE_GONE:
      return "NOT_FOUND";
    case REMOTE_REFUSED:
      return "NOT_CAPTURABLE";
    case REMOTE_FAILED:
      return error.number == ETIMEDOUT ? "TIMEOUT" : code_of_errno(error.number);
  }
  return "INTERNAL";
}

}  // namespace

Failure remote_failure(const remote_error& error) {
  std::string message = error.text;
  if (error.number != 0) message += ": " + describe_errno(error.number);
  return Failure(code_of(error), message);
}

}  // namespace holdfast
