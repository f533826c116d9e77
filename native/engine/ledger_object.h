// JavaScript's handle on a PageLedger.
#pragma once

#include <napi.h>

#include <memory>

#include "page_ledger.h"

namespace holdfast {

class LedgerObject : public Napi::ObjectWrap<LedgerObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit LedgerObject(const Napi::CallbackInfo& info);

  std::shared_ptr<PageLedger> ledger() const { return ledger_; }

 private:
  void commit(const Napi::CallbackInfo& info);
  void rollback(const Napi::CallbackInfo& info);
  Napi::Value trackers(const Napi::CallbackInfo& info);
  Napi::Value add_pack(const Napi::CallbackInfo& info);
  Napi::Value learn(const Napi::CallbackInfo& info);
  Napi::Value use(const Napi::CallbackInfo& info);

  std::shared_ptr<PageLedger> ledger_;
};

// What this kernel tracks writes with.
Napi::Value track_method_value(const Napi::CallbackInfo& info);

}  // namespace holdfast
