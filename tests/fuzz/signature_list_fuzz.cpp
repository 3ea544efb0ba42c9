// The reader of EFI signature lists on arbitrary octets, and the whole of PCR 7 with them in it.

#include "actors/attestation/secure_boot.hpp"
#include "adapters/eventlog/signature_list.hpp"
#include "adapters/eventlog/writer.hpp"

#include <array>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::eventlog;

constexpr std::array<crypto::hash_alg, 1> banks{crypto::hash_alg::sha256};
constexpr efi_guid global_variable{0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2, 0x11,
                                   0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03, 0x2B, 0x8C};
constexpr efi_guid image_security{0xCB, 0xB2, 0x19, 0xD7, 0x3A, 0x3D, 0x96, 0x45,
                                  0xA3, 0xBC, 0xDA, 0xD0, 0x0E, 0x67, 0x65, 0x6F};
constexpr std::size_t list_header_bytes = 28;

void require(bool holds) {
  if (!holds)
    std::abort();
}

bool inside(byte_view part, byte_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

/// A boot whose db is `input` and that ran what its first entry vouches for.
void boot(byte_view input, const signature_lists& lists) {
  writer log(banks);
  const auto variable = [&](const char* name, const efi_guid& vendor, byte_view value) {
    log.add_hashed(7, event_type::efi_variable_driver_config,
                   make_uefi_variable(vendor, name, value));
  };
  variable("SecureBoot", global_variable, bytes{1});
  variable("PK", global_variable, input);
  variable("KEK", global_variable, input);
  variable("db", image_security, input);
  variable("dbx", image_security, {});
  log.add_hashed(7, event_type::separator, bytes(4, 0));
  bytes shown(input.begin(),
              input.begin() + static_cast<long>(std::min<std::size_t>(40, input.size())));
  if (!lists.signatures.empty()) {
    const auto& first = lists.signatures.front();
    shown = to_bytes(first.owner);
    shown.insert(shown.end(), first.data.begin(), first.data.end());
  }
  log.add_hashed(7, event_type::efi_variable_authority,
                 make_uefi_variable(image_security, "db", shown));
  const auto parsed = parse(log.log());
  require(parsed.ok());
  const auto facts = attestation::read_secure_boot(*parsed, crypto::hash_alg::sha256);
  if (!facts) {
    require(facts.failure().check == "secure-boot" && facts.failure().pcr == 7U);
    return;
  }
  require(facts->enabled && !lists.signatures.empty());
  require(facts->db_entries.size() == lists.signatures.size());
  require(attestation::check_secure_boot({}, *facts).ok());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view input(data, size);
  const auto lists = parse_signature_lists(input);
  if (!lists) {
    require(!lists.failure().message.empty());
    boot(input, {});
    return 0;
  }
  std::size_t accounted = 0;
  for (const auto& s : lists->signatures) {
    require(s.owner.size() == owner_bytes && !s.data.empty());
    require(inside(s.owner, input) && inside(s.data, input));
    require(s.kind != signature_kind::sha256 || s.data.size() == 32);
    accounted += s.owner.size() + s.data.size();
  }
  require(lists->signatures.size() + lists->others <= signatures_max);
  require(accounted + (lists->signatures.empty() ? 0 : list_header_bytes) <= size);
  boot(input, *lists);
  return 0;
}
