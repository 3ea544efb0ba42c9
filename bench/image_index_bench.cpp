// What it costs to find a host's base image among many: a recorded boot of 99 events against one
// image and against 10,000 that differ from it in one event each, in ordered form and with a PCR
// as a set; and to explain that none matches.

#include "actors/attestation/image_index.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace custos;
using namespace custos::attestation;
using attestation::test::must;
using attestation::test::recorded;

constexpr const char* boot_of_99_events =
    "eventlogs/keylime/binary_bios_measurements-secureboot.bin";
constexpr std::uint32_t kernel_pcr = 9;

struct booted {
  bytes raw = recorded(boot_of_99_events);
  eventlog::parsed_log log = must(eventlog::parse(raw));
  eventlog::replayed values = must(eventlog::replay(log, std::array{crypto::hash_alg::sha256}));
  std::vector<quoted_bank> banks{quoted_bank{crypto::hash_alg::sha256, 0xFFFFFF, {}}};
  base_image image = must(image_from_log(log, crypto::hash_alg::sha256, default_pcrs, "good", "1"));

  booted() {
    for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr)
      banks.front().values.at(pcr) = values.banks.front().value(pcr);
  }
  [[nodiscard]] boot_evidence evidence() const { return {banks, log, values}; }
};

const booted& boot() {
  static const booted b;
  return b;
}

pcr_policy& last_policy(base_image& image) {
  for (auto& p : image.pcrs)
    if (p.pcr == kernel_pcr)
      return p;
  return image.pcrs.back();
}

/// `images` - 1 others, in front of and behind the one that matches (if it is among them).
object_index<base_image> configured(std::int64_t images, pcr_form form, bool with_match) {
  object_index<base_image> out;
  for (std::int64_t i = 0; i < images; ++i) {
    auto image = std::make_shared<base_image>(boot().image);
    auto& policy = last_policy(*image);
    policy.form = form;
    const bool good = with_match && i == images / 2;
    if (!good)
      policy.events.at(policy.events.size() / 2).digest =
          crypto::digest(crypto::hash_alg::sha256, {as_bytes("kernel " + std::to_string(i))});
    auto number = std::to_string(i);
    image->name = "image-" + std::string(6 - number.size(), '0') + number;
    out.set(image->name, image);
  }
  return out;
}

void match(benchmark::State& state, pcr_form form) {
  const image_index index(configured(state.range(0), form, true));
  const auto evidence = boot().evidence();
  for (auto _ : state) {
    auto found = index.find(evidence);
    if (found.why)
      state.SkipWithError(found.why->message.c_str());
    benchmark::DoNotOptimize(found);
  }
}
void match_ordered(benchmark::State& state) {
  match(state, pcr_form::ordered);
}
void match_set(benchmark::State& state) {
  match(state, pcr_form::set);
}
BENCHMARK(match_ordered)->Arg(1)->Arg(10000);
BENCHMARK(match_set)->Arg(1)->Arg(10000);

void match_none(benchmark::State& state) {
  const image_index index(configured(state.range(0), pcr_form::ordered, false));
  const auto evidence = boot().evidence();
  for (auto _ : state) {
    auto found = index.find(evidence);
    if (!found.why)
      state.SkipWithError("affirmed a boot that no image describes");
    benchmark::DoNotOptimize(found);
  }
}
BENCHMARK(match_none)->Arg(1)->Arg(10000);

/// A configuration with one image more: the others' work is taken over.
void index_again(benchmark::State& state) {
  auto images = configured(state.range(0), pcr_form::ordered, true);
  const image_index before(images);
  auto more = std::make_shared<base_image>(boot().image);
  more->name = "one-more";
  images.set(more->name, more);
  for (auto _ : state) {
    const image_index made(images, &before);
    benchmark::DoNotOptimize(&made);
  }
}
BENCHMARK(index_again)->Arg(10000)->Unit(benchmark::kMillisecond);

void index_first(benchmark::State& state) {
  const auto images = configured(state.range(0), pcr_form::ordered, true);
  for (auto _ : state) {
    const image_index made(images);
    benchmark::DoNotOptimize(&made);
  }
}
BENCHMARK(index_first)->Arg(10000)->Unit(benchmark::kMillisecond);

} // namespace
