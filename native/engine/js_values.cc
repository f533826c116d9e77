#include "js_values.h"

namespace holdfast {

Napi::Error to_js(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Set("code", Napi::String::New(env, failure.code));
  error.Set("remedy", Napi::String::New(env, failure.remedy));
  return error;
}

void throw_js(Napi::Env env, const Failure& failure) { throw to_js(env, failure); }

std::optional<PackChecksum> optional_checksum(const Napi::Value& value) {
  if (!value.IsString()) return std::nullopt;
  return pack_checksum_of_text(value.As<Napi::String>());
}

double number_at(const Napi::Object& object, const char* name) { return object.Get(name).As<Napi::Number>().DoubleValue(); }

std::vector<ProcessId> process_ids(const Napi::Value& list) {
  const auto array = list.As<Napi::Array>();
  std::vector<ProcessId> ids;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const auto item = array.Get(i).As<Napi::Object>();
    const bool untracked = item.Get("isUntracked").ToBoolean();
    ids.push_back({static_cast<int>(number_at(item, "pid")), static_cast<uint32_t>(number_at(item, "imagePid")), untracked});
  }
  return ids;
}

}  // namespace holdfast
