// JavaScript's handle on a CaptureEngine.
#pragma once

#include <napi.h>

#include <map>
#include <memory>
#include <optional>

#include "capture_engine.h"
#include "main_thread_signal.h"

namespace holdfast {

class CaptureObject : public Napi::ObjectWrap<CaptureObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit CaptureObject(const Napi::CallbackInfo& info);
  ~CaptureObject() override;

 private:
  Napi::Value next(const Napi::CallbackInfo& info);
  void recycle(const Napi::CallbackInfo& info);
  Napi::Value round(const Napi::CallbackInfo& info);
  Napi::Value freeze(const Napi::CallbackInfo& info);
  Napi::Value read_held(const Napi::CallbackInfo& info);
  Napi::Value read_snapshots(const Napi::CallbackInfo& info);
  Napi::Value finish(const Napi::CallbackInfo& info);
  Napi::Value index(const Napi::CallbackInfo& info);
  Napi::Value totals(const Napi::CallbackInfo& info);
  void set_upload_rate(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  void deliver();
  void settle(const CaptureEngine::Event& event);
  Napi::Value begin(Napi::Env env, const std::function<void(CaptureEngine&)>& step);
  void settle_step(const CaptureEngine::StepResult& result);
  // Not collected, and the program not ended, while somebody waits.
  void hold();
  void let_go();
  Napi::Value pack_value(const SealedPack& pack);
  CaptureEngine& open_engine();
  void stop();

  std::unique_ptr<MainThreadSignal> signal_;
  std::unique_ptr<CaptureEngine> engine_;  // null once closed
  std::shared_ptr<EncoderState> encoder_state_;
  std::optional<Napi::Promise::Deferred> waiting_;       // next()
  std::optional<Napi::Promise::Deferred> step_waiting_;  // a step
  int holds_ = 0;
  std::map<uint32_t, Napi::Reference<Napi::Buffer<uint8_t>>> bodies_;  // handed out, not recycled
};

}  // namespace holdfast
