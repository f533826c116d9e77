// JavaScript's handle of a SnapshotGuard.
#pragma once

#include <napi.h>

#include <memory>

#include "snapshot_guard.h"

namespace holdfast {

class SnapshotObject : public Napi::ObjectWrap<SnapshotObject> {
 public:
  static Napi::Function define(Napi::Env env);

  // Arguments: clone pid, parent pid.
  explicit SnapshotObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value is_intact(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<SnapshotGuard> guard_;  // empty after close()
};

// endSnapshot(clone pid, parent pid): a promise.
Napi::Value end_snapshot_value(const Napi::CallbackInfo& info);

}  // namespace holdfast
