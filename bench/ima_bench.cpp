// What the verifier does with the IMA list of a host that has run ten thousand programs: parse it,
// replay it to PCR 10, and judge every entry.

#include "actors/attestation/ima_check.hpp"
#include "adapters/ima/writer.hpp"

#include <array>
#include <benchmark/benchmark.h>
#include <string>

namespace {

using namespace custos;
using crypto::hash_alg;

constexpr std::size_t entries = 10000;

/// The list, the PCR 10 it leads to, and the policy that allows it.
struct host {
  ima::writer log;
  bytes pcr = bytes(32, 0);
  ima_policy policy;

  host() {
    extend(log.add_ng(ima::boot_aggregate_name, hash_alg::sha256, bytes(32, 7)));
    for (std::size_t i = 1; i < entries; ++i) {
      const auto path = "/usr/lib/x86_64-linux-gnu/library-" + std::to_string(i) + ".so.1";
      const auto digest = crypto::digest(hash_alg::sha256, {as_bytes(path)});
      extend(log.add_ng(path, hash_alg::sha256, digest));
      policy.files.push_back({.path = path, .digests = {digest}});
    }
  }
  void extend(const bytes& data) {
    pcr = crypto::digest(hash_alg::sha256, {pcr, crypto::digest(hash_alg::sha256, {data})});
  }
};

const host& the_host() {
  static const host h;
  return h;
}

byte_view log_of(const host& h, bool ascii) {
  return ascii ? as_bytes(h.log.ascii()) : byte_view(h.log.binary());
}

void count(benchmark::State& state) {
  state.counters["entries"] = static_cast<double>(entries);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(entries));
}

template <bool Ascii>
void parse_ima(benchmark::State& state) {
  const auto log = log_of(the_host(), Ascii);
  for (auto _ : state)
    benchmark::DoNotOptimize(ima::parse(log));
  count(state);
}
BENCHMARK(parse_ima<false>)->Unit(benchmark::kMillisecond);
BENCHMARK(parse_ima<true>)->Unit(benchmark::kMillisecond);

template <bool Ascii>
void parse_and_replay_ima(benchmark::State& state) {
  const auto log = log_of(the_host(), Ascii);
  const std::array<ima::goal, 1> goals{{{.alg = hash_alg::sha256, .value = the_host().pcr}}};
  for (auto _ : state) {
    const auto parsed = ima::parse(log);
    std::vector<ima::aggregate> aggregates{{.alg = hash_alg::sha256}};
    const auto reached = ima::replay_until(*parsed, goals, aggregates);
    if (!reached || *reached != entries)
      state.SkipWithError("the list does not lead to PCR 10");
  }
  count(state);
}
BENCHMARK(parse_and_replay_ima<false>)->Unit(benchmark::kMillisecond);
BENCHMARK(parse_and_replay_ima<true>)->Unit(benchmark::kMillisecond);

/// The whole of check 17, with the index of the image's policy at hand.
void check_ima_log(benchmark::State& state) {
  const auto& h = the_host();
  const auto index = attestation::ima_index::build(h.policy);
  std::array<attestation::quoted_bank, 1> banks{};
  banks[0].mask = 1U << ima::measured_pcr;
  banks[0].values[ima::measured_pcr] = h.pcr;
  attestation::ima_input input;
  input.log = h.log.binary();
  input.banks = banks;
  for (auto _ : state)
    if (!attestation::check_ima(*index, input, {}))
      state.SkipWithError("the list is refused");
  count(state);
}
BENCHMARK(check_ima_log)->Unit(benchmark::kMillisecond);

void build_ima_index(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(attestation::ima_index::build(the_host().policy));
}
BENCHMARK(build_ima_index)->Unit(benchmark::kMillisecond);

} // namespace
