// What one decrypt of a host costs this side of the key server: the six steps of the gate,
// unwrapping under a primary key in memory, and the JWE. One thread.

#include "actors/attestation/token.hpp"
#include "actors/keyprovider/ciphertext.hpp"
#include "actors/keyprovider/gate.hpp"
#include "actors/keyprovider/token_reader.hpp"

#include <benchmark/benchmark.h>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::keyprovider;

constexpr std::int64_t now = 1'800'000'000;

template <class T>
T must(result<T> r) {
  if (!r)
    std::abort();
  return *std::move(r);
}

/// A host with a token, a provider, and a ciphertext of that host.
struct scene {
  crypto::key host_key = must(crypto::generate_p256());
  crypto::key token_key = must(crypto::generate_p256());
  std::vector<jose::trusted_key> keys{{"k1", token_key, "ES256"}};
  crypto::secret_bytes primary = crypto::random_secret(32);
  config_ptr config;
  decrypt_key call;

  scene() {
    attestation::token_claims claims;
    claims.issuer = "https://trust.example";
    claims.host = "host-7";
    claims.issued = now;
    claims.expires = now + 3600;
    claims.id = "id";
    claims.nonce = bytes(32, 1);
    const auto thumbprint = must(jose::thumbprint_digest(host_key));
    std::copy(thumbprint.begin(), thumbprint.end(), claims.key_thumbprint.begin());
    claims.image = "debian";
    claims.image_version = "12.7";
    claims.bank = "sha256";
    claims.pcrs_used = {0, 1, 2, 3, 4, 5, 7};
    claims.ak_name = bytes(34, 5);
    auto snapshot = std::make_shared<config_snapshot>();
    snapshot->tpm_cas["vendor"] = {"vendor", {}};
    snapshot->base_images["debian"] = {"debian", "12.7", "sha256", {}};
    snapshot->key_providers["vault"].name = "vault";
    config = snapshot;
    ciphertext_identity identity;
    identity.provider = "vault";
    identity.primary_key_id = "pk-1";
    call.context = to_bytes("host-7/volume-3");
    identity.context_hash = crypto::sha256(call.context);
    const auto fresh = crypto::random_secret(fresh_key_bytes);
    const wrapped_key wrapped{
        {}, must(crypto::aes_kwp_wrap(primary.reveal_secret(), fresh.reveal_secret())), {}};
    call.caller = {must(attestation::make_token(
                       claims, must(attestation::make_token_signer(token_key, "ES256", "k1")))),
                   host_key.spki_der(), "192.0.2.7:1"};
    call.provider = "vault";
    call.ciphertext =
        must(seal_key(identity, wrapped, fresh, call.context, crypto::random_secret(32)));
  }
  [[nodiscard]] gate make_gate() const {
    gate_limits limits;
    limits.calls_burst_max = 4'000'000'000U; // the rate limit is judged, and never reached
    limits.calls_per_second_max = 4'000'000'000U;
    return gate(
        tokens_of("https://trust.example",
                  [this](std::int64_t) { return std::span<const jose::trusted_key>(keys); }),
        limits);
  }
  [[nodiscard]] crypto::secret_bytes open() const {
    const auto parsed = must(parse_ciphertext(call.ciphertext));
    const auto fresh =
        must(crypto::aes_kwp_unwrap(primary.reveal_secret(), parsed.wrapped.ciphertext));
    return must(open_key(parsed, call.context, fresh));
  }
  [[nodiscard]] bytes seal(const crypto::secret_bytes& key) const {
    ciphertext_identity identity;
    identity.provider = "vault";
    identity.primary_key_id = "pk-2";
    const auto nonce = crypto::random_bytes(nonce_bytes);
    std::copy(nonce.begin(), nonce.end(), identity.nonce.begin());
    identity.context_hash = crypto::sha256(call.context);
    const auto fresh = crypto::random_secret(fresh_key_bytes);
    const wrapped_key wrapped{
        {}, must(crypto::aes_kwp_wrap(primary.reveal_secret(), fresh.reveal_secret())), {}};
    return must(seal_key(identity, wrapped, fresh, call.context, key));
  }
};

void gate_with_known_token(benchmark::State& state) {
  const scene s;
  auto g = s.make_gate();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(g.admit(s.call, s.config, now)));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(gate_with_known_token);

void gate_with_new_token(benchmark::State& state) {
  const scene s;
  auto g = s.make_gate();
  for (auto _ : state) {
    g.forget_verdicts();
    benchmark::DoNotOptimize(must(g.admit(s.call, s.config, now)));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(gate_with_new_token);

void local_unwrap(benchmark::State& state) {
  const scene s;
  for (auto _ : state)
    benchmark::DoNotOptimize(s.open());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(local_unwrap);

void decrypt_whole(benchmark::State& state) {
  const scene s;
  auto g = s.make_gate();
  for (auto _ : state) {
    const auto granted = must(g.admit(s.call, s.config, now));
    const auto key = s.open();
    benchmark::DoNotOptimize(must(jose::encrypt_ecdh_es_a256kw(
        granted.transport_key, granted.transport_key_id, key.reveal_secret())));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decrypt_whole);

/// What a key of the host's own costs beside the gate: out of its JWE, and sealed.
void encrypt_whole(benchmark::State& state) {
  const scene s;
  auto g = s.make_gate();
  const auto own = must(crypto::generate_p256());
  const auto public_half = must(crypto::public_key_from_spki(own.spki_der()));
  encrypt_key call{s.call.caller, "vault", "", s.call.context};
  call.jwe = must(
      jose::encrypt_ecdh_es_a256kw(public_half, "own", crypto::random_secret(32).reveal_secret()));
  for (auto _ : state) {
    benchmark::DoNotOptimize(must(g.admit(call, s.config, now)));
    benchmark::DoNotOptimize(s.seal(must(jose::decrypt_ecdh_es_a256kw(own, call.jwe))));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(encrypt_whole);

/// One ciphertext of a rewrap, under primary keys in memory.
void rewrap_one(benchmark::State& state) {
  const scene s;
  for (auto _ : state)
    benchmark::DoNotOptimize(s.seal(s.open()));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(rewrap_one);

} // namespace
