#include "encoder_values.h"

#include <algorithm>

#include "blob_reader.h"
#include "hex_digits.h"
#include "js_values.h"

namespace holdfast {

namespace {

// By codec number, as docs/format.md has them.
constexpr std::array<const char*, 4> kCodecNames = {"none", "zstd", "lz4", "shuffle-lz4"};

std::optional<Codec> codec_named(const std::string& name) {
  const auto found = std::ranges::find(kCodecNames, name);
  if (found == kCodecNames.end()) return std::nullopt;  // auto
  return static_cast<Codec>(found - kCodecNames.begin());
}

Bytes bytes_of(const Napi::Value& buffer) {
  const auto bytes = buffer.As<Napi::Buffer<uint8_t>>();
  return std::as_bytes(std::span(bytes.Data(), bytes.Length()));
}

Napi::Value copy_of(Napi::Env env, Bytes bytes) {
  return Napi::Buffer<uint8_t>::Copy(env, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

// native/index.ts has checked the lengths.
template <size_t Size>
void copy_key(const Napi::Object& keys, const char* name, std::array<std::byte, Size>& out) {
  std::ranges::copy(bytes_of(keys.Get(name)).first(Size), out.begin());
}

BlobKeys blob_keys(const Napi::Object& value) {
  BlobKeys keys;
  copy_key(value, "fingerprint", keys.fingerprint);
  copy_key(value, "seal", keys.seal);
  copy_key(value, "address", keys.address);
  return keys;
}

}  // namespace

std::vector<BlobKeys> blob_keys_list(const Napi::Value& list) {
  const auto array = list.As<Napi::Array>();
  std::vector<BlobKeys> keys;
  for (uint32_t i = 0; i < array.Length(); i++) keys.push_back(blob_keys(array.Get(i).As<Napi::Object>()));
  return keys;
}

EncoderSettings encoder_settings(const Napi::Object& options) {
  EncoderSettings settings{};
  settings.codec = codec_named(options.Get("codec").As<Napi::String>().Utf8Value());
  settings.compression_level = static_cast<int>(number_at(options, "compressionLevel"));
  settings.threads = static_cast<unsigned>(number_at(options, "threads"));
  const Napi::Value keys = options.Get("keys");
  if (!keys.IsNull()) settings.keys = blob_keys(keys.As<Napi::Object>());
  return settings;
}

Napi::Object codec_reasons(Napi::Env env, const EncoderState& state) {
  Napi::Object reasons = Napi::Object::New(env);
  for (size_t i = 0; i < kCodecReasons; i++) reasons.Set(kCodecReasonNames[i], static_cast<double>(state.counted(i)));
  return reasons;
}

Napi::Value encode_chunk(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Bytes raw = bytes_of(info[0]);
    ChunkEncoder encoder(encoder_settings(info[1].As<Napi::Object>()), raw.size());
    const auto encoded = encoder.encode(raw);
    ByteWriter blob;
    blob.put(encoded.header);
    blob.put(encoded.stored);
    Napi::Object value = Napi::Object::New(info.Env());
    value.Set("blob", copy_of(info.Env(), blob.bytes()));
    value.Set("address", to_text(encoded.contents));
    value.Set("reason", kCodecReasonNames[static_cast<size_t>(encoded.reason)]);
    return value;
  });
}

Napi::Value decode_blob(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Bytes blob = bytes_of(info[0]);
    BlobReader reader(blob_keys_list(info[1]));
    return copy_of(info.Env(), reader.open(blob, decode_blob_header(blob, "blob"), "blob"));
  });
}

Napi::Value choose_codec_value(const Napi::CallbackInfo& info) {
  const auto given = info[0].As<Napi::Object>();
  const auto number = [&](const char* name) { return number_at(given, name); };
  const CodecChoice choice =
      choose_codec({{number("lz4Ratio"), number("lz4BytesPerS")},
                    {number("shuffleLz4Ratio"), number("shuffleLz4BytesPerS")},
                    {number("zstdRatio"), number("zstdBytesPerS")}},
                   {number("uploadBytesPerS"), static_cast<unsigned>(number("threads"))});
  Napi::Object value = Napi::Object::New(info.Env());
  value.Set("codec", kCodecNames[static_cast<size_t>(choice.codec)]);
  value.Set("reason", kCodecReasonNames[static_cast<size_t>(choice.reason)]);
  return value;
}

}  // namespace holdfast
