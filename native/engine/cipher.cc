#include "cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <climits>

#include "failure.h"

namespace holdfast {

namespace {

constexpr size_t kBlock = 16;
constexpr size_t kGcmNonceBytes = 12;

void require(bool done, const char* what) {
  if (!done) throw Failure("INTERNAL", std::string("OpenSSL cannot ") + what + " on this machine");
}

const unsigned char* octets(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* octets(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

// Fetched once: a fetch for each blob takes locks inside OpenSSL.
const EVP_CIPHER* gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return cipher;
}

const EVP_CIPHER* ecb() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
  return cipher;
}

EVP_MAC* hmac() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  return mac;
}

}  // namespace

BlobKeys::~BlobKeys() {
  OPENSSL_cleanse(seal.data(), seal.size());
  OPENSSL_cleanse(address.data(), address.size());
}

BlobCipher::BlobCipher(const BlobKeys& keys)
    : keys_(keys),
      block_(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free),
      payload_(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free),
      mac_(EVP_MAC_CTX_new(hmac()), EVP_MAC_CTX_free) {
  require(block_ && payload_ && mac_, "make cipher contexts");
  require(EVP_EncryptInit_ex2(block_.get(), ecb(), octets(keys_.seal.data()), nullptr, nullptr) == 1 &&
              EVP_CIPHER_CTX_set_padding(block_.get(), 0) == 1,
          "use AES-256");
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
  require(EVP_MAC_init(mac_.get(), octets(keys_.address.data()), keys_.address.size(), parameters) == 1, "use HMAC-SHA-256");
  // The CMAC subkey of full blocks: the encrypted zero block, doubled in GF(2^128).
  std::array<unsigned char, kBlock> zero{};
  int size = 0;
  require(EVP_EncryptUpdate(block_.get(), subkey_.data(), &size, zero.data(), kBlock) == 1, "use AES-256");
  unsigned carry = 0;
  for (size_t i = kBlock; i-- > 0;) {
    const unsigned doubled = (unsigned{subkey_[i]} << 1) | carry;
    subkey_[i] = static_cast<unsigned char>(doubled);
    carry = doubled >> 8;
  }
  subkey_[kBlock - 1] ^= static_cast<unsigned char>(carry * 0x87);
}

void BlobCipher::derive(Bytes nonce, std::array<unsigned char, 32>& key) {
  for (unsigned char half = 0; half < 2; half++) {
    std::array<unsigned char, kBlock> block = {0, static_cast<unsigned char>(half + 1), 'X', 0};
    std::copy_n(octets(nonce.data()), kGcmNonceBytes, block.begin() + 4);
    for (size_t i = 0; i < kBlock; i++) block[i] ^= subkey_[i];
    int size = 0;
    require(EVP_EncryptUpdate(block_.get(), key.data() + kBlock * half, &size, block.data(), kBlock) == 1, "use AES-256");
  }
}

void BlobCipher::begin(Bytes nonce, Bytes header, bool encrypt) {
  std::array<unsigned char, 32> key;
  derive(nonce, key);
  const unsigned char* iv = octets(nonce.data()) + kGcmNonceBytes;
  const bool ready = EVP_CipherInit_ex2(payload_.get(), gcm(), key.data(), iv, encrypt ? 1 : 0, nullptr) == 1;
  OPENSSL_cleanse(key.data(), key.size());
  require(ready, "use AES-256-GCM");
  int size = 0;
  const auto authenticate = [&](Bytes bytes) {
    require(EVP_CipherUpdate(payload_.get(), nullptr, &size, octets(bytes.data()), static_cast<int>(bytes.size())) == 1,
            "use AES-256-GCM");
  };
  authenticate(header);
  authenticate(keys_.fingerprint);
}

void BlobCipher::crypt(Bytes in, std::byte* out) {
  int size = 0;
  require(EVP_CipherUpdate(payload_.get(), octets(out), &size, octets(in.data()), static_cast<int>(in.size())) == 1,
          "use AES-256-GCM");
}

void BlobCipher::seal(Bytes header, Bytes plain, std::span<std::byte> out) {
  std::ranges::copy(keys_.fingerprint, out.begin());
  const auto nonce = out.subspan(keys_.fingerprint.size(), kNonceBytes);
  require(RAND_bytes(octets(nonce.data()), kNonceBytes) == 1, "make random numbers");
  begin(nonce, header, true);
  crypt(plain, out.data() + kSealPrefixBytes);
  int size = 0;
  require(EVP_EncryptFinal_ex(payload_.get(), nullptr, &size) == 1, "use AES-256-GCM");
  require(EVP_CIPHER_CTX_ctrl(payload_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, out.data() + kSealPrefixBytes + plain.size()) == 1,
          "use AES-256-GCM");
}

bool BlobCipher::open(Bytes header, Bytes sealed, std::span<std::byte> out) {
  begin(sealed.subspan(keys_.fingerprint.size(), kNonceBytes), header, false);
  crypt(sealed.subspan(kSealPrefixBytes, out.size()), out.data());
  std::array<std::byte, kTagBytes> tag;
  std::ranges::copy(sealed.last(kTagBytes), tag.begin());
  require(EVP_CIPHER_CTX_ctrl(payload_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1, "use AES-256-GCM");
  int size = 0;
  return EVP_DecryptFinal_ex(payload_.get(), nullptr, &size) == 1;
}

Sha256 BlobCipher::address(Bytes raw) const {
  const MacContext mac(EVP_MAC_CTX_dup(mac_.get()), EVP_MAC_CTX_free);
  Sha256 address;
  size_t size = 0;
  require(mac && EVP_MAC_update(mac.get(), octets(raw.data()), raw.size()) == 1 &&
              EVP_MAC_final(mac.get(), octets(address.data()), &size, address.size()) == 1,
          "use HMAC-SHA-256");
  return address;
}

KeyFingerprint fingerprint_of(Bytes sealed) {
  KeyFingerprint fingerprint;
  std::ranges::copy(sealed.first(fingerprint.size()), fingerprint.begin());
  return fingerprint;
}

}  // namespace holdfast
