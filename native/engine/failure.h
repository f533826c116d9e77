// The one exception type of the engine: an entry of the error catalogue (core/errors.ts) with its sentences.
#pragma once

#include <cstdint>
#include <exception>
#include <string>

namespace holdfast {

class Failure : public std::exception {
 public:
  // code: entry of the catalogue; message: object and cause; remedy: what to do, or empty.
  Failure(const char* code, std::string message, std::string remedy = "")
      : code(code), message(std::move(message)), remedy(std::move(remedy)) {}

  const char* what() const noexcept override { return message.c_str(); }

  const char* code;
  std::string message;
  std::string remedy;
};

// "0x7f12..." as messages show addresses.
std::string hex(uint64_t value);

// "No such process (ESRCH)".
std::string describe_errno(int error);

// The catalogue's code for a failed system call on a process.
const char* code_of_errno(int error);

}  // namespace holdfast
