// The module: same names, same order as `NativeEngine` in native/index.ts.
#include <napi.h>

#include "capture_object.h"
#include "encoder_values.h"
#include "fill_object.h"
#include "js_values.h"
#include "lazy_object.h"
#include "ledger_object.h"
#include "peer_credentials.h"
#include "snapshot_object.h"

namespace holdfast {

namespace {

Napi::Value peer_credentials_value(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const PeerCredentials peer = peer_credentials(info[0].As<Napi::Number>().Int32Value());
    Napi::Object value = Napi::Object::New(info.Env());
    value.Set("pid", peer.pid);
    value.Set("uid", peer.uid);
    value.Set("gid", peer.gid);
    return value;
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("NativeCapture", CaptureObject::define(env));
  exports.Set("NativeLedger", LedgerObject::define(env));
  exports.Set("trackMethod", Napi::Function::New(env, track_method_value, "trackMethod"));
  exports.Set("NativeFill", FillObject::define(env));
  exports.Set("encodeChunk", Napi::Function::New(env, encode_chunk, "encodeChunk"));
  exports.Set("decodeBlob", Napi::Function::New(env, decode_blob, "decodeBlob"));
  exports.Set("chooseCodec", Napi::Function::New(env, choose_codec_value, "chooseCodec"));
  exports.Set("NativeLazyFill", LazyObject::define(env));
  exports.Set("NativeSnapshot", SnapshotObject::define(env));
  exports.Set("endSnapshot", Napi::Function::New(env, end_snapshot_value, "endSnapshot"));
  exports.Set("peerCredentials", Napi::Function::New(env, peer_credentials_value, "peerCredentials"));
  return exports;
}

}  // namespace

}  // namespace holdfast

using holdfast::init;
NODE_API_MODULE(engine, init)
