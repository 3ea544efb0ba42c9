#include "adapters/eventlog/writer.hpp"

#include "adapters/eventlog/event_types.hpp"

#include <array>
#include <cassert>
#include <string_view>

namespace custos::eventlog {

namespace {

template <class Integer>
void put(bytes& out, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i)
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void append(bytes& out, byte_view octets) {
  out.insert(out.end(), octets.begin(), octets.end());
}

} // namespace

writer::writer(std::span<const crypto::hash_alg> banks) : banks_(banks.begin(), banks.end()) {
  assert(!banks_.empty() && banks_.size() <= banks_max);
  // TCG_EfiSpecIDEvent: platform class client, version 2.0 errata 5, 64-bit UINTN.
  bytes header = to_bytes(std::string_view("Spec ID Event03\0", 16));
  put(header, std::uint32_t{0});
  append(header, std::array<std::uint8_t, 4>{0, 2, 5, 2});
  put(header, static_cast<std::uint32_t>(banks_.size()));
  for (const auto alg : banks_) {
    put(header, static_cast<std::uint16_t>(alg));
    put(header, static_cast<std::uint16_t>(crypto::digest_size(alg)));
  }
  header.push_back(0); // no vendor information
  put(log_, std::uint32_t{0});
  put(log_, event_type::no_action);
  log_.insert(log_.end(), crypto::digest_size(crypto::hash_alg::sha1), 0);
  put(log_, static_cast<std::uint32_t>(header.size()));
  append(log_, header);
}

void writer::add_startup_locality(std::uint8_t locality) {
  bytes data = to_bytes(std::string_view("StartupLocality\0", 16));
  data.push_back(locality);
  std::vector<bytes> zeros;
  zeros.reserve(banks_.size());
  for (const auto alg : banks_)
    zeros.emplace_back(crypto::digest_size(alg), std::uint8_t{0});
  add(0, event_type::no_action, data, zeros);
}

void writer::add(std::uint32_t pcr, std::uint32_t type, byte_view data,
                 std::span<const bytes> digests) {
  assert(pcr < pcrs_max && digests.size() == banks_.size());
  put(log_, pcr);
  put(log_, type);
  put(log_, static_cast<std::uint32_t>(banks_.size()));
  for (std::size_t i = 0; i < banks_.size(); ++i) {
    assert(digests[i].size() == crypto::digest_size(banks_[i]));
    put(log_, static_cast<std::uint16_t>(banks_[i]));
    append(log_, digests[i]);
  }
  put(log_, static_cast<std::uint32_t>(data.size()));
  append(log_, data);
}

std::vector<bytes> writer::add_measured(std::uint32_t pcr, std::uint32_t type, byte_view data,
                                        byte_view measured) {
  std::vector<bytes> digests;
  digests.reserve(banks_.size());
  for (const auto alg : banks_)
    digests.push_back(crypto::digest(alg, {measured}));
  add(pcr, type, data, digests);
  return digests;
}

bytes make_uefi_variable(std::span<const std::uint8_t, 16> guid, std::string_view name,
                         byte_view data) {
  bytes out;
  append(out, byte_view(guid));
  put(out, static_cast<std::uint64_t>(name.size()));
  put(out, static_cast<std::uint64_t>(data.size()));
  for (const char c : name)
    put(out, static_cast<std::uint16_t>(static_cast<unsigned char>(c)));
  append(out, data);
  return out;
}

bytes make_signature(std::span<const std::uint8_t, 16> owner, byte_view data) {
  bytes out(owner.begin(), owner.end());
  append(out, data);
  return out;
}

bytes make_signature_list(signature_kind kind, std::span<const std::uint8_t, 16> owner,
                          std::span<const bytes> signatures) {
  assert(!signatures.empty());
  constexpr std::size_t header_bytes = 28;
  const auto one_bytes = owner.size() + signatures.front().size();
  bytes out;
  append(out, kind == signature_kind::x509 ? x509_list_guid : sha256_list_guid);
  put(out, static_cast<std::uint32_t>(header_bytes + signatures.size() * one_bytes));
  put(out, std::uint32_t{0}); // no header of the type
  put(out, static_cast<std::uint32_t>(one_bytes));
  for (const auto& s : signatures) {
    assert(s.size() + owner.size() == one_bytes);
    append(out, make_signature(owner, s));
  }
  return out;
}

} // namespace custos::eventlog
