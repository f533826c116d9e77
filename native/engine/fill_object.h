// JavaScript's handle on a FillEngine.
#pragma once

#include <napi.h>

#include <memory>

#include "fill_engine.h"
#include "fill_tickets.h"
#include "main_thread_signal.h"

namespace holdfast {

class FillObject : public Napi::ObjectWrap<FillObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit FillObject(const Napi::CallbackInfo& info);
  ~FillObject() override;

 private:
  Napi::Value pack_numbers(const Napi::CallbackInfo& info);
  Napi::Value write_pack(const Napi::CallbackInfo& info);
  Napi::Value written_pages(const Napi::CallbackInfo& info);
  Napi::Value total_pages(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  void deliver();
  FillEngine& open_engine();
  void stop();

  std::unique_ptr<MainThreadSignal> signal_;
  std::unique_ptr<FillEngine> engine_;
  bool closed_ = false;
  FillTickets tickets_;
};

}  // namespace holdfast
