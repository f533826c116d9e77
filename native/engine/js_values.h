// Between the engine's values and JavaScript's. The shapes are those of native/index.ts, which validates first.
#pragma once

#include <napi.h>

#include <optional>
#include <vector>

#include "address_spaces.h"
#include "failure.h"
#include "pack_checksum.h"

namespace holdfast {

// An Error with the properties `code` and `remedy`.
Napi::Error to_js(Napi::Env env, const Failure& failure);

// Throws the failure into JavaScript.
[[noreturn]] void throw_js(Napi::Env env, const Failure& failure);

// Runs `body`; a Failure becomes a JavaScript exception.
template <typename Body>
auto guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Failure& failure) {
    throw_js(env, failure);
  } catch (const std::bad_alloc&) {
    throw_js(env, Failure("LIMIT_EXCEEDED", "the engine has no memory"));
  }
}

// A pack's checksum in hexadecimal digits, or null.
std::optional<PackChecksum> optional_checksum(const Napi::Value& value);

double number_at(const Napi::Object& object, const char* name);

// [{pid, imagePid}, ...]
std::vector<ProcessId> process_ids(const Napi::Value& list);

}  // namespace holdfast
