// What a token costs beside the signature in it. Goal: verifying a JWS takes at most 10 % longer
// than EVP alone over the same message; compare token_verify with evp_verify of one run. Making a
// whole attestation token: compare attestation_token/ALG with evp_floor/ALG.

#include "actors/attestation/token.hpp"
#include "adapters/jose/jose.hpp"

#include <benchmark/benchmark.h>
#include <memory>
#include <openssl/evp.h>
#include <openssl/rsa.h>

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
  std::string token = *jose::sign(key, "ES256", "k1", "t+jwt", payload);
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
  const auto token = *jose::sign(f.key, "ES256", "k2", "t+jwt", f.payload);
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
    if (!jose::sign(f.key, "ES256", "k1", "t+jwt", f.payload))
      state.SkipWithError("does not sign");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(token_sign);

// ---- whole attestation tokens -------------------------------------------------------------------

/// EVP alone over a message as long as the token's, with the key of each algorithm; compare with
/// attestation_token of the same algorithm.
struct signing {
  attestation::token_signer by;
  attestation::token_claims claims;
  std::string input; ///< header and payload of a token
  int padding = 0;
  const char* digest = "SHA256";

  explicit signing(std::string_view alg) {
    const auto key = alg == "ES256"   ? crypto::generate_p256()
                     : alg == "ES384" ? crypto::generate_p384()
                                      : crypto::generate_rsa(2048);
    by = *attestation::make_token_signer(*key, alg, "RrXkUQXBMgRmwWHHeBpYEpMyvOUuRlSjAMvDoAQBLbA");
    claims.issuer = "https://trust.example.org";
    claims.host = "rack-17-host-204.example.org";
    claims.issued = 1'800'000'000;
    claims.expires = claims.issued + 28800;
    claims.id = "Wm0rQm9ZJ2VYc1FhZGdB";
    claims.nonce = bytes(32, 1);
    claims.image = "debian-12-web";
    claims.image_version = "12.8";
    claims.bank = "sha256";
    claims.pcrs_used = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14};
    claims.pcrs_ignored = {15};
    claims.ak_name = bytes(34, 5);
    claims.secure_boot = true;
    claims.config_fingerprint = std::string(64, 'f');
    const auto token = *attestation::make_token(claims, by);
    input = token.substr(0, token.rfind('.'));
    if (alg == "ES384")
      digest = "SHA384";
    if (alg == "PS256" || alg == "RS256")
      padding = alg == "PS256" ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
  }
};

void evp_floor(benchmark::State& state, const char* alg) {
  const signing s(alg);
  const md_ctx context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  bytes out(512);
  for (auto _ : state) {
    EVP_PKEY_CTX* key_context = nullptr;
    std::size_t size = out.size();
    EVP_MD_CTX_reset(context.get());
    bool ok = EVP_DigestSignInit_ex(context.get(), &key_context, s.digest, nullptr, nullptr,
                                    s.by.key.handle(), nullptr) == 1;
    if (s.padding != 0)
      ok = ok && EVP_PKEY_CTX_set_rsa_padding(key_context, s.padding) == 1;
    if (s.padding == RSA_PKCS1_PSS_PADDING)
      ok = ok && EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
    if (!ok || EVP_DigestSign(context.get(), out.data(), &size, as_bytes(s.input).data(),
                              s.input.size()) != 1)
      state.SkipWithError("does not sign");
  }
  state.SetItemsProcessed(state.iterations());
}

void attestation_token(benchmark::State& state, const char* alg) {
  const signing s(alg);
  for (auto _ : state)
    if (!attestation::make_token(s.claims, s.by))
      state.SkipWithError("does not sign");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(evp_floor, es256, "ES256");
BENCHMARK_CAPTURE(attestation_token, es256, "ES256");
BENCHMARK_CAPTURE(evp_floor, es384, "ES384");
BENCHMARK_CAPTURE(attestation_token, es384, "ES384");
BENCHMARK_CAPTURE(evp_floor, ps256, "PS256");
BENCHMARK_CAPTURE(attestation_token, ps256, "PS256");
BENCHMARK_CAPTURE(evp_floor, rs256, "RS256");
BENCHMARK_CAPTURE(attestation_token, rs256, "RS256");

void attestation_token_read(benchmark::State& state) {
  const signing s("ES256");
  const std::vector<jose::trusted_key> keys{{s.by.kid, s.by.key, "ES256"}};
  const auto token = *attestation::make_token(s.claims, s.by);
  for (auto _ : state)
    if (!attestation::read_token(token, {keys, s.claims.issuer}, s.claims.issued))
      state.SkipWithError("does not read");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(attestation_token_read);

void jwe_encrypt(benchmark::State& state) {
  const auto& f = data();
  const auto secret = crypto::random_bytes(key_bytes);
  for (auto _ : state)
    if (!jose::encrypt_ecdh_es_a256kw(f.key, "k1", secret))
      state.SkipWithError("does not encrypt");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(jwe_encrypt);

/// What a host's next key costs while the agreement with it is kept.
void jwe_encrypt_agreed(benchmark::State& state) {
  const auto to = *jose::recipient::agree(data().key, "k1");
  const auto secret = crypto::random_bytes(key_bytes);
  for (auto _ : state)
    if (!to.encrypt(secret))
      state.SkipWithError("does not encrypt");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(jwe_encrypt_agreed);

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
