// The parser of IMA measurement lists on arbitrary octets, and everything that reads what it
// accepted.

#include "adapters/ima/ima.hpp"
#include "adapters/ima/signature.hpp"

#include <array>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::ima;
using crypto::hash_alg;

constexpr limits small{
    .log_bytes_max = std::size_t{1} << 16, .entries_max = 256, .field_bytes_max = 4096};

void require(bool holds) {
  if (!holds)
    std::abort();
}

bool inside(byte_view part, byte_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_entry(const entry& e, const parsed_log& log) {
  const byte_view home = log.ascii ? byte_view(log.rebuilt) : log.log;
  require(inside(e.template_data, home));
  require(inside(e.digest, home) && !e.digest.empty() && e.digest.size() <= digest_bytes_max);
  require(inside(e.signature, home) && e.signature.size() <= small.field_bytes_max);
  require(inside(as_bytes(e.path), home) || inside(as_bytes(e.path), log.log));
  require(e.path.find('\0') == std::string_view::npos);
  require(printable(e.path).size() <= 203);
  const auto alg = e.hash();
  require(!alg || crypto::digest_size(*alg) == e.digest.size());
  static_cast<void>(parse_signature(e.signature));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view input(data, size);
  const auto log = parse(input, small);
  if (!log) {
    require(log.failure().check == "ima-log");
    return 0;
  }
  require(log->entries.size() <= small.entries_max);
  require(log->rebuilt.size() <= size);
  // Every byte is accounted for: a list cut at any of its entries is a list of those before.
  for (std::size_t i = 0; i < log->entries.size(); ++i) {
    check_entry(log->entries[i], *log);
    if (i != 0)
      require(log->entries[i].offset > log->entries[i - 1].offset);
  }
  if (!log->entries.empty()) {
    const auto cut = parse(input.first(log->entries.back().offset), small);
    require(cut && cut->entries.size() == log->entries.size() - 1);
  }
  std::vector<aggregate> aggregates{{.alg = hash_alg::sha256},
                                    {.alg = hash_alg::sha1},
                                    {.alg = hash_alg::sha512, .form = extend_form::padded_sha1}};
  const bytes unreachable(32, 0xA5);
  const std::array<goal, 1> goals{{{.alg = hash_alg::sha256, .value = unreachable}}};
  const auto reached = replay_until(*log, goals, aggregates);
  require(!reached || !*reached);
  return 0;
}
