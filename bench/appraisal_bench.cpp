// What one appraisal costs a verifier: a quote by an RSA-2048 key over a recorded boot of 99
// events, all checks, one thread. `known_key`: the host has attested here before and its AK
// certificate is remembered; `new_key`: it has not. `grant` signs the token as well.

#include "actors/attestation/verifier_core.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <benchmark/benchmark.h>
#include <malloc.h>
#include <memory>
#include <openssl/evp.h>

namespace {

using namespace custos;
using namespace custos::attestation;
using attestation::test::ak_kind;
using attestation::test::now;
using attestation::test::recorded;
using attestation::test::scene;

constexpr const char* boot_of_99_events =
    "eventlogs/keylime/binary_bios_measurements-secureboot.bin";
constexpr const char* three_banks_106_events = "eventlogs/ubuntu-2104-no-secure-boot.bin";
constexpr std::size_t pool_size = 2000;

/// Evidence signed beforehand; every piece is good for one appraisal by one verifier.
struct pool {
  scene s;
  std::vector<evidence> ready;

  pool(const char* log, std::vector<crypto::hash_alg> banks)
      : s(recorded(log), ak_kind::rsa, std::move(banks)) {
    s.freeze();
    for (std::size_t i = 0; i < pool_size; ++i)
      ready.push_back(s.good());
  }
};

const pool& one_bank() {
  static const pool p(boot_of_99_events, {crypto::hash_alg::sha256});
  return p;
}
const pool& two_banks() {
  static const pool p(three_banks_106_events, {crypto::hash_alg::sha256, crypto::hash_alg::sha384});
  return p;
}

template <class Verdict>
void must_hold(benchmark::State& state, const Verdict& verdict) {
  if (!verdict)
    state.SkipWithError(verdict.failure().message.c_str());
}

/// A verifier appraises the whole pool, then the next one takes over: tickets count once.
template <class Appraise>
void over_pool(benchmark::State& state, const pool& p, Appraise appraise) {
  auto core = std::make_unique<verifier_core>(p.s.keys);
  std::size_t next = 0;
  for (auto _ : state) {
    if (next == p.ready.size()) {
      state.PauseTiming();
      core = std::make_unique<verifier_core>(p.s.keys);
      next = 0;
      state.ResumeTiming();
    }
    must_hold(state, appraise(*core, p.ready[next++]));
  }
  state.SetItemsProcessed(state.iterations());
}

void appraise_known_key(benchmark::State& state) {
  const auto& p = one_bank();
  over_pool(state, p, [&](verifier_core& core, const evidence& e) {
    return core.appraise(e, p.s.config, now);
  });
}
BENCHMARK(appraise_known_key);

void grant_known_key(benchmark::State& state) {
  const auto& p = one_bank();
  over_pool(state, p,
            [&](verifier_core& core, const evidence& e) { return core.grant(e, p.s.config, now); });
}
BENCHMARK(grant_known_key);

void grant_known_key_two_banks(benchmark::State& state) {
  const auto& p = two_banks();
  over_pool(state, p,
            [&](verifier_core& core, const evidence& e) { return core.grant(e, p.s.config, now); });
}
BENCHMARK(grant_known_key_two_banks);

void grant_new_key(benchmark::State& state) {
  const auto& p = one_bank();
  std::size_t next = 0;
  for (auto _ : state) {
    verifier_core core(p.s.keys);
    must_hold(state, core.grant(p.ready[next++ % p.ready.size()], p.s.config, now));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(grant_new_key);

/// A base image that is not the host's: the answer explains the difference.
void refuse_other_image(benchmark::State& state) {
  const auto& p = one_bank();
  auto config = std::make_shared<config_snapshot>(*p.s.config);
  config->base_images.at("good").pcrs.back().events.back().digest.back() ^= 1;
  over_pool(state, p, [&](verifier_core& core, const evidence& e) -> result<void> {
    if (core.appraise(e, config, now))
      return make_error(errc::internal, "affirmed a boot that no image describes");
    return {};
  });
}
BENCHMARK(refuse_other_image);

// ---- what only the cryptography costs -----------------------------------------------------------

using md_ctx = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

/// The OpenSSL calls that a grant cannot do without, and nothing else: the ticket's MAC, the
/// quote's signature, the digests of what was sent and replayed, the token's signature. Compare
/// with grant_known_key of the same run: the goal is 70 % of this.
class crypto_floor {
public:
  explicit crypto_floor(const pool& p)
      : ak_(p.s.enrolled.ak.key), token_key_(*crypto::generate_p256()), e_(p.ready.front()),
        log_(*eventlog::parse(e_.event_log)), bank_(*log_.bank_index(crypto::hash_alg::sha256)),
        signature_(e_.signature.end() - 256, e_.signature.end()), claims_(1200, 'c') {}

  bool run() {
    sha256({e_.ak_certificate});
    hmac();
    if (!verify())
      return false;
    for (const auto& v : e_.pcrs)
      EVP_DigestUpdate(running_.get(), v.value.data(), v.value.size());
    sha256({e_.event_log});
    for (const auto& event : log_.events) {
      if (event.type == eventlog::event_type::no_action)
        continue;
      sha256({out_, log_.digest(event, bank_)}); // the extend
      if (eventlog::data_is_hashed(event.type))
        sha256({event.data});
    }
    return sign();
  }

private:
  void sha256(std::initializer_list<byte_view> parts) {
    EVP_DigestInit_ex2(digest_.get(), md_.get(), nullptr);
    for (const auto part : parts)
      EVP_DigestUpdate(digest_.get(), part.data(), part.size());
    EVP_DigestFinal_ex(digest_.get(), out_.data(), nullptr);
  }
  void hmac() { // two hashes over the ticket
    sha256({bytes(64, 1), bytes(60, 2)});
    sha256({bytes(64, 3), out_});
  }
  bool verify() {
    EVP_MD_CTX_reset(context_.get());
    return EVP_DigestVerifyInit(context_.get(), nullptr, md_.get(), nullptr, ak_.handle()) == 1 &&
           EVP_DigestVerify(context_.get(), signature_.data(), signature_.size(), e_.quote.data(),
                            e_.quote.size()) == 1;
  }
  bool sign() {
    EVP_MD_CTX_reset(context_.get());
    std::size_t size = token_signature_.size();
    return EVP_DigestSignInit(context_.get(), nullptr, md_.get(), nullptr, token_key_.handle()) ==
               1 &&
           EVP_DigestSign(context_.get(), token_signature_.data(), &size, as_bytes(claims_).data(),
                          claims_.size()) == 1;
  }

  crypto::key ak_, token_key_;
  const evidence& e_;
  eventlog::parsed_log log_;
  std::size_t bank_;
  bytes signature_;
  std::string claims_;
  bytes out_ = bytes(32);
  bytes token_signature_ = bytes(128);
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> md_{EVP_MD_fetch(nullptr, "SHA256", nullptr),
                                                      EVP_MD_free};
  md_ctx digest_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
  md_ctx context_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
  md_ctx running_ = [] {
    md_ctx c{EVP_MD_CTX_new(), EVP_MD_CTX_free};
    EVP_DigestInit_ex2(c.get(), EVP_sha256(), nullptr);
    return c;
  }();
};

void floor_of_grant(benchmark::State& state) {
  crypto_floor floor(one_bank());
  for (auto _ : state)
    if (!floor.run())
      state.SkipWithError("the quote does not verify");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(floor_of_grant);

/// The longest log that is judged: 16,384 events.
void appraise_longest_log(benchmark::State& state) {
  const auto events = static_cast<std::size_t>(state.range(0));
  eventlog::writer log(std::vector{crypto::hash_alg::sha256});
  for (std::uint32_t pcr = 0; pcr < 8; ++pcr)
    log.add_hashed(pcr, eventlog::event_type::separator, bytes(4, 0));
  for (std::size_t i = 9; i < events; ++i)
    log.add_hashed(8, eventlog::event_type::ipl, as_bytes("grub_cmd: line " + std::to_string(i)));
  scene s(log.log(), ak_kind::rsa, {crypto::hash_alg::sha256});
  s.freeze();
  verifier_core core(s.keys);
  for (auto _ : state) {
    state.PauseTiming();
    const auto e = s.good();
    state.ResumeTiming();
    must_hold(state, core.appraise(e, s.config, now));
  }
  state.counters["log_bytes"] = static_cast<double>(s.log.size());
  // Run alone, the whole heap: evidence and image of the same length are beside it.
  state.counters["arena_bytes"] = static_cast<double>(mallinfo2().arena + mallinfo2().hblkhd);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(appraise_longest_log)->Arg(1024)->Arg(4096)->Arg(16384);

// ---- memory -------------------------------------------------------------------------------------

constexpr std::size_t evidence_a_second = 2000;
constexpr std::size_t evidence_an_ak = 20;
/// More than fills the memory of AK certificates (4096) and of a minute's tickets.
constexpr std::size_t warm_up_seconds = 100;
constexpr std::size_t measured_seconds = 500; // 10^6 appraisals
constexpr std::int64_t growth_bytes_max = 256 << 10;

std::int64_t heap_bytes() {
  const auto info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

/// One second of evidence; the AK certificate is a new one every evidence_an_ak pieces.
void one_second(scene& s, verifier_core& core, std::int64_t second, benchmark::State& state) {
  const auto at = now + second;
  for (std::size_t i = 0; i < evidence_a_second; ++i) {
    if (i % evidence_an_ak == 0)
      s.freeze();
    must_hold(state, core.grant(s.good(at), s.config, at));
  }
}

/// A verifier that has run for long takes no more memory than before: 10^6 appraisals, half of the
/// time goes into making the evidence.
void heap_over_a_million(benchmark::State& state) {
  for (auto _ : state) {
    scene s(recorded(boot_of_99_events), ak_kind::p256, {crypto::hash_alg::sha256});
    verifier_core core(s.keys);
    std::int64_t second = 0;
    for (std::size_t i = 0; i < warm_up_seconds; ++i)
      one_second(s, core, second++, state);
    const auto before = heap_bytes();
    for (std::size_t i = 0; i < measured_seconds; ++i)
      one_second(s, core, second++, state);
    const auto growth = heap_bytes() - before;
    state.counters["heap_bytes"] = static_cast<double>(before);
    state.counters["heap_growth_bytes"] = static_cast<double>(growth);
    if (growth > growth_bytes_max)
      state.SkipWithError("the heap grows with the number of appraisals");
  }
  state.SetItemsProcessed(state.iterations() *
                          static_cast<std::int64_t>(measured_seconds * evidence_a_second));
}
BENCHMARK(heap_over_a_million)->Iterations(1)->Unit(benchmark::kSecond);

} // namespace
