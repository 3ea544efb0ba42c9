// What the verifier does with evidence on its hot path: parse and replay a boot log, read a quote,
// check its signature and the digest over the PCR values.

#include "adapters/eventlog/event_types.hpp"
#include "adapters/tpm/structures.hpp"

#include <array>
#include <benchmark/benchmark.h>
#include <fstream>
#include <iterator>
#include <string>

namespace {

using namespace custos;
using crypto::hash_alg;

bytes read_data(const std::string& relative) {
  std::ifstream in(std::string(CUSTOS_TEST_DATA) + "/attestation/" + relative, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// 112 events, three banks, 34 KB: a cloud machine with GRUB.
const bytes& boot_log() {
  static const bytes log = read_data("eventlogs/ubuntu-2104-no-dbx.bin");
  return log;
}

void count_events(benchmark::State& state, const eventlog::parsed_log& log) {
  state.counters["events"] = static_cast<double>(log.events.size());
}

void parse_log(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(eventlog::parse(boot_log()));
  count_events(state, *eventlog::parse(boot_log()));
}
BENCHMARK(parse_log);

template <hash_alg... Banks>
void replay_log(benchmark::State& state) {
  const auto log = eventlog::parse(boot_log());
  constexpr std::array<hash_alg, sizeof...(Banks)> banks{Banks...};
  for (auto _ : state)
    benchmark::DoNotOptimize(eventlog::replay(*log, banks));
  count_events(state, *log);
}
BENCHMARK(replay_log<hash_alg::sha256>);
BENCHMARK(replay_log<hash_alg::sha1, hash_alg::sha256>);
BENCHMARK(replay_log<hash_alg::sha256, hash_alg::sha384>);

void parse_and_replay_two_banks(benchmark::State& state) {
  constexpr std::array<hash_alg, 2> banks{hash_alg::sha1, hash_alg::sha256};
  for (auto _ : state) {
    const auto log = eventlog::parse(boot_log());
    benchmark::DoNotOptimize(eventlog::replay(*log, banks));
  }
}
BENCHMARK(parse_and_replay_two_banks);

void measured_data_of_pcr_7(benchmark::State& state) {
  const auto log = eventlog::parse(boot_log());
  for (auto _ : state)
    for (const auto& e : log->events)
      if (e.pcr == 7)
        benchmark::DoNotOptimize(eventlog::measured_data(*log, e, hash_alg::sha256));
}
BENCHMARK(measured_data_of_pcr_7);

const std::string quotes = "quotes/gce-cos-85-nonce9009/";

void parse_quote(benchmark::State& state) {
  const auto raw = read_data(quotes + "quote.sha256.attest.bin");
  for (auto _ : state)
    benchmark::DoNotOptimize(tpm::parse_quote(raw));
}
BENCHMARK(parse_quote);

void verify_rsa_2048(benchmark::State& state) {
  const auto raw = read_data(quotes + "quote.sha256.attest.bin");
  const auto ak = tpm::parse_public(read_data(quotes + "ak.tpmt_public.bin"));
  const auto sig_bytes = read_data(quotes + "quote.sha256.sig.bin");
  for (auto _ : state) {
    const auto sig = tpm::parse_signature(sig_bytes);
    if (!tpm::verify_quote_signature(*ak, raw, *sig, false))
      state.SkipWithError("the signature does not verify");
  }
}
BENCHMARK(verify_rsa_2048);

void parse_rsa_public(benchmark::State& state) {
  const auto raw = read_data(quotes + "ak.tpmt_public.bin");
  for (auto _ : state)
    benchmark::DoNotOptimize(tpm::parse_public(raw));
}
BENCHMARK(parse_rsa_public);

void composite_digest(benchmark::State& state) {
  const std::array<tpm::pcr_selection, 1> selection{{{.bank = hash_alg::sha256, .mask = 0xFFFFFF}}};
  std::vector<pcr_value> values;
  for (std::uint32_t pcr = 0; pcr < tpm::pcrs_max; ++pcr)
    values.push_back({.bank = 0x000B, .pcr = pcr, .value = bytes(32, 1)});
  for (auto _ : state)
    benchmark::DoNotOptimize(tpm::pcr_composite_digest(hash_alg::sha256, selection, values));
}
BENCHMARK(composite_digest);

} // namespace
