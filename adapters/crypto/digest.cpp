#include "adapters/crypto/internal.hpp"

#include <cstdlib>
#include <openssl/rand.h>

namespace custos::crypto {

using namespace internal;

namespace internal {

const char* md_name_of(hash_alg alg) {
  switch (alg) {
  case hash_alg::sha1:
    return "SHA1";
  case hash_alg::sha256:
    return "SHA256";
  case hash_alg::sha384:
    return "SHA384";
  case hash_alg::sha512:
    return "SHA512";
  }
  return "SHA256";
}

const EVP_MD* md_of(hash_alg alg) {
  // Fetching an algorithm by name takes a lock; a fetched one is free to use from any thread.
  static const EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static const EVP_MD* const sha384 = EVP_MD_fetch(nullptr, "SHA384", nullptr);
  static const EVP_MD* const sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  switch (alg) {
  case hash_alg::sha1:
    return sha1;
  case hash_alg::sha256:
    return sha256;
  case hash_alg::sha384:
    return sha384;
  case hash_alg::sha512:
    return sha512;
  }
  return sha256;
}

} // namespace internal

namespace {

void must(bool ok) {
  // A digest or the CSPRNG failing means OpenSSL itself is broken: nothing is safe then.
  if (!ok)
    std::abort();
}

EVP_MAC_CTX* hmac_context() {
  struct holder {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
    holder() = default;
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;
    ~holder() {
      EVP_MAC_CTX_free(context);
      EVP_MAC_free(mac);
    }
  };
  static thread_local holder h;
  return h.context;
}

} // namespace

bytes random_bytes(std::size_t n) {
  bytes out(n);
  must(n <= 65536 && RAND_bytes(out.data(), static_cast<int>(n)) == 1);
  return out;
}

secret_bytes random_secret(std::size_t n) {
  secret_bytes out(n);
  must(n <= 65536 && RAND_priv_bytes(out.writable_secret().data(), static_cast<int>(n)) == 1);
  return out;
}

std::size_t digest_size(hash_alg alg) {
  switch (alg) {
  case hash_alg::sha1:
    return 20;
  case hash_alg::sha256:
    return 32;
  case hash_alg::sha384:
    return 48;
  case hash_alg::sha512:
    return 64;
  }
  return 32;
}

std::string_view to_string(hash_alg alg) {
  switch (alg) {
  case hash_alg::sha1:
    return "sha1";
  case hash_alg::sha256:
    return "sha256";
  case hash_alg::sha384:
    return "sha384";
  case hash_alg::sha512:
    return "sha512";
  }
  return "unknown";
}

result<hash_alg> hash_alg_of(std::string_view name) {
  for (const auto alg : {hash_alg::sha1, hash_alg::sha256, hash_alg::sha384, hash_alg::sha512})
    if (to_string(alg) == name)
      return alg;
  return make_error(errc::invalid_argument, "expected sha1, sha256, sha384 or sha512");
}

void digest_into(hash_alg alg, std::initializer_list<byte_view> parts,
                 std::span<std::uint8_t> out) {
  static thread_local const md_ctx_ptr context(EVP_MD_CTX_new());
  must(context != nullptr && out.size() == digest_size(alg));
  must(EVP_DigestInit_ex2(context.get(), md_of(alg), nullptr) == 1);
  for (const auto part : parts)
    must(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  must(EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1);
}

sha256_digest sha256(byte_view data) {
  sha256_digest out{};
  digest_into(hash_alg::sha256, {data}, out);
  return out;
}

bytes digest(hash_alg alg, std::initializer_list<byte_view> parts) {
  bytes out(digest_size(alg));
  digest_into(alg, parts, out);
  return out;
}

bytes hmac(hash_alg alg, byte_view key, std::initializer_list<byte_view> parts) {
  auto* context = hmac_context();
  std::string name = md_name_of(alg);
  const std::array<OSSL_PARAM, 2> params{
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
      OSSL_PARAM_construct_end()};
  static constexpr std::uint8_t no_key = 0; // an empty key must still be a pointer
  must(EVP_MAC_init(context, key.empty() ? &no_key : key.data(), key.size(), params.data()) == 1);
  for (const auto part : parts)
    must(EVP_MAC_update(context, part.data(), part.size()) == 1);
  bytes out(digest_size(alg));
  std::size_t size = 0;
  must(EVP_MAC_final(context, out.data(), &size, out.size()) == 1 && size == out.size());
  return out;
}

sha256_digest hmac_sha256(byte_view key, std::initializer_list<byte_view> parts) {
  const auto mac = hmac(hash_alg::sha256, key, parts);
  sha256_digest out{};
  std::copy(mac.begin(), mac.end(), out.begin());
  return out;
}

bool equal(byte_view a, byte_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace custos::crypto
