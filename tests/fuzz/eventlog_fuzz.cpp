// The event log parser on arbitrary octets, and everything that reads what it accepted.

#include "adapters/eventlog/event_types.hpp"

#include <array>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::eventlog;
using crypto::hash_alg;

constexpr std::array<hash_alg, 4> all_banks{hash_alg::sha1, hash_alg::sha256, hash_alg::sha384,
                                            hash_alg::sha512};

void require(bool holds) {
  if (!holds)
    std::abort();
}

bool inside(byte_view part, byte_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view input(data, size);
  const auto log = parse(input, {.log_bytes_max = std::size_t{1} << 16, .events_max = 512});
  if (!log) {
    require(!log.failure().check.empty());
    return 0;
  }
  require(!log->events.empty() && log->events.size() <= 512);
  require(log->digest_offsets.size() == log->events.size() * log->banks.size());
  // Every byte is accounted for: events follow each other without a gap, then padding.
  const auto& last = log->events.back();
  const auto* const end = last.data.empty() ? nullptr : last.data.data() + last.data.size();
  require(end == nullptr || end + log->padding_bytes == data + size);
  for (const auto& e : log->events) {
    require(inside(e.data, input));
    require(e.pcr < pcrs_max || e.type == event_type::no_action);
    require(describe(e).size() <= hint_chars_max);
    for (const auto bank : all_banks) {
      require(inside(log->digest(e, bank), input));
      const auto part = measured_data(*log, e, bank, {.shim_extra_byte = true});
      require(!part || inside(*part, e.data));
    }
  }
  for (const auto bank : all_banks) {
    const std::array<hash_alg, 1> one{bank};
    const auto values = replay(*log, one);
    require(!values || values->banks.size() == 1);
  }
  return 0;
}
