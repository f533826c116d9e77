#include "snapshot_object.h"

#include <optional>
#include <utility>

#include "js_values.h"

namespace holdfast {

namespace {

// Ends a clone in libuv's threads: it waits for the clone, and for its parent to be free.
class EndWorker : public Napi::AsyncWorker {
 public:
  EndWorker(Napi::Env env, std::shared_ptr<SnapshotGuard> guard)
      : AsyncWorker(env, "holdfast.snapshot"), promise_(Napi::Promise::Deferred::New(env)), guard_(std::move(guard)) {}

  EndWorker(Napi::Env env, int clone, int parent) : EndWorker(env, nullptr) {
    clone_ = clone;
    parent_ = parent;
  }

  Napi::Promise promise() const { return promise_.Promise(); }

  void Execute() override {
    try {
      if (guard_) {
        guard_->end();
      } else {
        end_clone(clone_, parent_);
      }
    } catch (const Failure& failure) {
      failure_ = failure;
    }
  }

  void OnOK() override {
    guard_.reset();
    if (failure_) {
      promise_.Reject(to_js(Env(), *failure_).Value());
    } else {
      promise_.Resolve(Env().Undefined());
    }
  }

 private:
  Napi::Promise::Deferred promise_;
  std::shared_ptr<SnapshotGuard> guard_;
  int clone_ = 0;
  int parent_ = 0;
  std::optional<Failure> failure_;
};

Napi::Value start(EndWorker* worker) {
  const Napi::Promise promise = worker->promise();
  worker->Queue();  // deletes itself
  return promise;
}

int pid_of(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

}  // namespace

Napi::Function SnapshotObject::define(Napi::Env env) {
  return DefineClass(env, "NativeSnapshot",
                     {
                         InstanceMethod<&SnapshotObject::is_intact>("isIntact"),
                         InstanceMethod<&SnapshotObject::close>("close"),
                     });
}

SnapshotObject::SnapshotObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] { guard_ = std::make_shared<SnapshotGuard>(pid_of(info[0]), pid_of(info[1])); });
}

Napi::Value SnapshotObject::is_intact(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), guard_ && guard_->intact());
}

Napi::Value SnapshotObject::close(const Napi::CallbackInfo& info) {
  const auto guard = std::exchange(guard_, nullptr);
  if (!guard) {
    const auto promise = Napi::Promise::Deferred::New(info.Env());
    promise.Resolve(info.Env().Undefined());
    return promise.Promise();
  }
  return start(new EndWorker(info.Env(), guard));
}

Napi::Value end_snapshot_value(const Napi::CallbackInfo& info) {
  return start(new EndWorker(info.Env(), pid_of(info[0]), pid_of(info[1])));
}

}  // namespace holdfast
