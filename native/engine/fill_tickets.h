// Promises of fills that threads work on, by ticket; each keeps the body that is being read.
#pragma once

#include <napi.h>

#include <map>
#include <vector>

#include "fill_queue.h"

namespace holdfast {

class FillTickets {
 public:
  bool empty() const { return waiting_.empty(); }

  // The body as a thread may read it until the ticket is settled.
  struct Issued {
    uint64_t ticket;
    Napi::Value promise;
  };
  Issued issue(Napi::Env env, const Napi::Buffer<uint8_t>& body);
  // A ticket whose work could not be given to a thread: nobody will settle it.
  void withdraw(uint64_t ticket) { waiting_.erase(ticket); }
  void settle(Napi::Env env, const std::vector<FillResult>& results);
  void clear() { waiting_.clear(); }

 private:
  struct Waiting {
    Napi::Promise::Deferred promise;
    Napi::Reference<Napi::Buffer<uint8_t>> body;
  };

  uint64_t last_ = 0;
  std::map<uint64_t, Waiting> waiting_;
};

Bytes bytes_of(const Napi::Buffer<uint8_t>& buffer);

}  // namespace holdfast
