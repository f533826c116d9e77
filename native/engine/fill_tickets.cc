#include "fill_tickets.h"

#include "js_values.h"

namespace holdfast {

Bytes bytes_of(const Napi::Buffer<uint8_t>& buffer) { return std::as_bytes(std::span(buffer.Data(), buffer.Length())); }

FillTickets::Issued FillTickets::issue(Napi::Env env, const Napi::Buffer<uint8_t>& body) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  waiting_.emplace(++last_, Waiting{deferred, Napi::Persistent(body)});
  return {last_, deferred.Promise()};
}

void FillTickets::settle(Napi::Env env, const std::vector<FillResult>& results) {
  for (const FillResult& result : results) {
    const auto found = waiting_.find(result.ticket);
    const Napi::Promise::Deferred promise = found->second.promise;
    waiting_.erase(found);
    if (result.failure) {
      promise.Reject(to_js(env, *result.failure).Value());
    } else {
      promise.Resolve(env.Undefined());
    }
  }
}

}  // namespace holdfast
