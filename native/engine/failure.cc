#include "failure.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace holdfast {

std::string hex(uint64_t value) {
  char text[2 + 16 + 1];
  snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string describe_errno(int error) {
  const char* name = strerrorname_np(error);
  const char* text = strerrordesc_np(error);
  if (name == nullptr || text == nullptr) return "error " + std::to_string(error);
  return std::string(text) + " (" + name + ")";
}

const char* code_of_errno(int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
      return "NOT_FOUND";
    case EACCES:
    case EPERM:
      return "PERMISSION_DENIED";
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return "LIMIT_EXCEEDED";
    default:
      return "INTERNAL";
  }
}

}  // namespace holdfast
