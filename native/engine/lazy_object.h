// JavaScript's handle on a LazyEngine.
#pragma once

#include <napi.h>

#include <memory>

#include "fill_tickets.h"
#include "lazy_engine.h"
#include "main_thread_signal.h"

namespace holdfast {

class LazyObject : public Napi::ObjectWrap<LazyObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit LazyObject(const Napi::CallbackInfo& info);
  ~LazyObject() override;

 private:
  Napi::Value take(const Napi::CallbackInfo& info);
  Napi::Value gate(const Napi::CallbackInfo& info);
  Napi::Value chunk(const Napi::CallbackInfo& info);
  Napi::Value fill_chunk(const Napi::CallbackInfo& info);
  Napi::Value fill_pack(const Napi::CallbackInfo& info);
  Napi::Value is_missing(const Napi::CallbackInfo& info);
  Napi::Value missing_packs(const Napi::CallbackInfo& info);
  Napi::Value resident_pages(const Napi::CallbackInfo& info);
  Napi::Value total_pages(const Napi::CallbackInfo& info);
  Napi::Value is_complete(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  template <typename Submit>
  Napi::Value submit(const Napi::CallbackInfo& info, Submit give);
  void deliver();
  LazyEngine& open_engine();
  void stop();

  std::unique_ptr<MainThreadSignal> signal_;
  std::unique_ptr<LazyEngine> engine_;
  Napi::FunctionReference on_wanted_;
  Napi::FunctionReference on_forked_;
  FillTickets tickets_;
  bool closed_ = false;
};

}  // namespace holdfast
