// What a known host takes: its binding in the configuration and its record. Goal: 100,000 hosts at
// less than 2 KiB each; a new binding does not depend on how many there are.

#include "actors/attestation/host_table.hpp"
#include "cluster/config_state.hpp"

#include <benchmark/benchmark.h>
#include <malloc.h>

namespace {

using namespace custos;
using namespace custos::attestation;

constexpr std::size_t hosts = 100000;
constexpr std::int64_t now = 1'800'000'000;

std::string name_of(std::size_t i) {
  return "host-" + std::to_string(i) + ".fleet.example.org";
}

config_command binding_of(std::size_t i) {
  auto ek = crypto::sha256(as_bytes(std::to_string(i)));
  bytes ak{0x00, 0x0B};
  ak.insert(ak.end(), ek.begin(), ek.end());
  config_command c;
  c.action = config_action::create;
  c.kind = object_kind::host;
  c.name = name_of(i);
  c.document = R"({"ak_name":")" + crypto::hex(ak) + R"(","ek_spki_sha256":")" + crypto::hex(ek) +
               R"(","quarantined":false})";
  return c;
}

void bind(cluster::config_state& state, std::size_t i) {
  const auto planned = state.plan(binding_of(i));
  if (!planned)
    std::abort();
  state.commit(*planned);
}

void know(host_table& table, std::size_t i) {
  const auto name = name_of(i);
  tpm::clock_info clock;
  clock.clock = i + 1;
  clock.safe = true;
  if (!table.see_clock(name, bytes(34, 1), clock, false, now))
    std::abort();
  static_cast<void>(table.is_new_evidence(name, bytes(32, 2)));
  host_verdict v;
  v.at = now;
  v.accepted = true;
  v.authentic = true;
  v.image = "debian-12-web";
  v.image_version = "12.8-20260101";
  table.settle(name, std::move(v));
}

std::size_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void memory_of_known_hosts(benchmark::State& state) {
  for (auto _ : state) {
    const auto before = heap_bytes();
    cluster::config_state configuration;
    host_table table;
    config_ptr shown = configuration.snapshot();
    for (std::size_t i = 0; i < hosts; ++i) {
      bind(configuration, i);
      shown = configuration.snapshot(); // as after every binding: readers hold the last one
      know(table, i);
    }
    const auto bytes_each = (heap_bytes() - before) / hosts;
    state.counters["bytes_a_host"] = static_cast<double>(bytes_each);
    if (bytes_each >= 2048)
      state.SkipWithError("a known host takes 2 KiB or more");
  }
}
BENCHMARK(memory_of_known_hosts)->Iterations(1)->Unit(benchmark::kMillisecond);

/// One more binding beside so many, with the snapshot that services then see.
void bind_one_more(benchmark::State& state) {
  const auto known = static_cast<std::size_t>(state.range(0));
  cluster::config_state configuration;
  for (std::size_t i = 0; i < known; ++i)
    bind(configuration, i);
  auto shown = configuration.snapshot();
  std::size_t next = known;
  for (auto _ : state) {
    bind(configuration, next++);
    shown = configuration.snapshot();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(bind_one_more)->Arg(100)->Arg(100000)->Iterations(20000);

} // namespace
