#include "ledger_object.h"

#include "js_values.h"
#include "stored_contents.h"

namespace holdfast {

namespace {

std::optional<TrackMethod> method_of(const std::string& name) {
  for (const TrackMethod method : {TrackMethod::WriteProtect, TrackMethod::SoftDirty, TrackMethod::Fingerprint}) {
    if (name == name_of(method)) return method;
  }
  return std::nullopt;
}

}  // namespace

Napi::Function LedgerObject::define(Napi::Env env) {
  return DefineClass(env, "NativeLedger",
                     {
                         InstanceMethod<&LedgerObject::commit>("commit"),
                         InstanceMethod<&LedgerObject::rollback>("rollback"),
                         InstanceMethod<&LedgerObject::add_pack>("addPack"),
                         InstanceMethod<&LedgerObject::learn>("learn"),
                         InstanceMethod<&LedgerObject::trackers>("trackers"),
                         InstanceMethod<&LedgerObject::use>("use"),
                     });
}

LedgerObject::LedgerObject(const Napi::CallbackInfo& info)
    : ObjectWrap(info), ledger_(std::make_shared<PageLedger>(method_of(info[0].As<Napi::String>().Utf8Value()))) {}

void LedgerObject::commit(const Napi::CallbackInfo&) {
  const std::lock_guard lock(ledger_->mutex);
  ledger_->commit();
}

void LedgerObject::rollback(const Napi::CallbackInfo&) {
  const std::lock_guard lock(ledger_->mutex);
  ledger_->rollback();
}

Napi::Value LedgerObject::add_pack(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::lock_guard lock(ledger_->mutex);
    const auto bytes = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
    return Napi::Number::New(info.Env(), ledger_->add_stored_pack(bytes));
  });
}

Napi::Value LedgerObject::learn(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto index = info[0].As<Napi::Buffer<uint8_t>>();
    const auto list = info[1].As<Napi::Array>();
    std::vector<uint32_t> packs;
    for (uint32_t i = 0; i < list.Length(); i++) packs.push_back(list.Get(i).As<Napi::Number>().Uint32Value());
    const size_t blobs = learn_contents(*ledger_, std::as_bytes(std::span(index.Data(), index.Length())), packs);
    return Napi::Number::New(info.Env(), static_cast<double>(blobs));
  });
}

Napi::Value LedgerObject::trackers(const Napi::CallbackInfo& info) {
  const std::lock_guard lock(ledger_->mutex);
  Napi::Array list = Napi::Array::New(info.Env());
  for (const auto& [pid, space] : ledger_->spaces()) {
    Napi::Object one = Napi::Object::New(info.Env());
    one.Set("pid", pid);
    one.Set("method", name_of(space->tracker.method()));
    one.Set("refusal", space->tracker.refusal());
    list.Set(list.Length(), one);
  }
  return list;
}

Napi::Value LedgerObject::use(const Napi::CallbackInfo& info) {
  const std::lock_guard lock(ledger_->mutex);
  double bytes = 0;
  double live = 0;
  for (const auto& [pack, use] : ledger_->use()) {
    bytes += static_cast<double>(use.bytes);
    live += static_cast<double>(use.live_bytes);
  }
  Napi::Object value = Napi::Object::New(info.Env());
  value.Set("storedBytes", bytes);
  value.Set("liveBytes", live);
  return value;
}

Napi::Value track_method_value(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), name_of(probe_track_method()));
}

}  // namespace holdfast
