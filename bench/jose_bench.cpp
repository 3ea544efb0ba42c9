// What a token costs beside the signature in it. Goal: verifying a JWS takes at most 10 % longer
// than EVP alone over the same message; compare token_verify with evp_verify of one run.

#include "adapters/jose/jose.hpp"

#include <benchmark/benchmark.h>
#include <memory>
#include <openssl/evp.h>

namespace {

using namespace custos;

/// As long as the claims of an attestation token.
constexpr std::size_t payload_bytes = 1024;
constexpr std::size_t key_bytes = 32;

using md_ctx = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

struct fixture {
  crypto::key key = *crypto::generate_p256();
  std::vector<jose::trusted_key> trusted{{"k1", key, "ES256"}};
  std::string payload = std::string(payload_bytes, 'c');
  std::string token = *jose::sign_es256(key, "k1", "t+jwt", payload);
  /// What is signed, and an EVP signature of it.
  std::string input = token.substr(0, token.rfind('.'));
  bytes signature;

  fixture() {
    const md_ctx context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::size_t size = 128;
    signature.resize(size);
    EVP_DigestSignInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, key.handle(),
                          nullptr);
    EVP_DigestSign(context.get(), signature.data(), &size, as_bytes(input).data(), input.size());
    signature.resize(size);
  }
};

const fixture& data() {
  static const fixture f;
  return f;
}

void evp_verify(benchmark::State& state) {
  const auto& f = data();
  const md_ctx context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  for (auto _ : state) {
    EVP_MD_CTX_reset(context.get());
    const bool ok = EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr,
                                            f.key.handle(), nullptr) == 1 &&
                    EVP_DigestVerify(context.get(), f.signature.data(), f.signature.size(),
                                     as_bytes(f.input).data(), f.input.size()) == 1;
    if (!ok)
      state.SkipWithError("does not verify");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(evp_verify);

void token_verify(benchmark::State& state) {
  const auto& f = data();
  for (auto _ : state)
    if (!jose::verify_compact(f.token, f.trusted, "t+jwt"))
      state.SkipWithError("does not verify");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(token_verify);

void token_refuse_unknown_key(benchmark::State& state) {
  const auto& f = data();
  const auto token = *jose::sign_es256(f.key, "k2", "t+jwt", f.payload);
  for (auto _ : state)
    if (jose::verify_compact(token, f.trusted, "t+jwt"))
      state.SkipWithError("verifies");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(token_refuse_unknown_key);

void evp_sign(benchmark::State& state) {
  const auto& f = data();
  const md_ctx context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  bytes out(128);
  for (auto _ : state) {
    std::size_t size = out.size();
    EVP_MD_CTX_reset(context.get());
    EVP_DigestSignInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, f.key.handle(),
                          nullptr);
    if (EVP_DigestSign(context.get(), out.data(), &size, as_bytes(f.input).data(),
                       f.input.size()) != 1)
      state.SkipWithError("does not sign");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(evp_sign);

void token_sign(benchmark::State& state) {
  const auto& f = data();
  for (auto _ : state)
    if (!jose::sign_es256(f.key, "k1", "t+jwt", f.payload))
      state.SkipWithError("does not sign");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(token_sign);

void jwe_encrypt(benchmark::State& state) {
  const auto& f = data();
  const auto secret = crypto::random_bytes(key_bytes);
  for (auto _ : state)
    if (!jose::encrypt_ecdh_es_a256kw(f.key, "k1", secret))
      state.SkipWithError("does not encrypt");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(jwe_encrypt);

void jwe_decrypt(benchmark::State& state) {
  const auto& f = data();
  const auto jwe = *jose::encrypt_ecdh_es_a256kw(f.key, "k1", crypto::random_bytes(key_bytes));
  for (auto _ : state)
    if (!jose::decrypt_ecdh_es_a256kw(f.key, jwe))
      state.SkipWithError("does not decrypt");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(jwe_decrypt);

} // namespace
