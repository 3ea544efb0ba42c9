// TPM structures on arbitrary octets. The first octet chooses which.

#include "adapters/tpm/make_credential.hpp"

#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::tpm;

void require(bool holds) {
  if (!holds)
    std::abort();
}

void on_quote(byte_view data) {
  const auto quote = parse_quote(data);
  if (!quote) {
    require(quote.failure().check.rfind("quote-", 0) == 0);
    return;
  }
  require(quote->selection.size() <= selections_max);
  std::vector<pcr_value> values;
  for (const auto& s : quote->selection) {
    require(s.mask >> pcrs_max == 0);
    for (std::uint32_t pcr = 0; pcr < pcrs_max; ++pcr)
      if ((s.mask >> pcr & 1U) != 0)
        values.push_back({.bank = static_cast<std::uint16_t>(s.bank),
                          .pcr = pcr,
                          .value = bytes(crypto::digest_size(s.bank), 0)});
  }
  require(pcr_composite_digest(crypto::hash_alg::sha256, quote->selection, values).ok());
  if (!values.empty()) {
    values.pop_back();
    require(!pcr_composite_digest(crypto::hash_alg::sha256, quote->selection, values));
  }
}

void on_signature(byte_view data) {
  static const public_area rsa = [] {
    public_area area;
    area.key = *crypto::generate_rsa(2048);
    area.scheme = signing_scheme{};
    return area;
  }();
  static const public_area ecc = [] {
    public_area area;
    area.key = *crypto::generate_p256();
    area.scheme = signing_scheme{.alg = scheme_alg::ecdsa};
    return area;
  }();
  const auto sig = parse_signature(data);
  if (!sig)
    return;
  const bytes message(32, 1);
  require(!verify_quote_signature(rsa, message, *sig, true));
  require(!verify_quote_signature(ecc, message, *sig, true));
}

void on_public(byte_view data) {
  const auto area = parse_public(data);
  if (!area)
    return;
  require(static_cast<bool>(area->key));
  require(area->marshalled.size() == data.size() || area->marshalled.size() + 2 == data.size());
  require(area->name.size() == 2 + crypto::digest_size(area->name_alg));
  const bool ak = check_attestation_key(*area).ok();
  const bool ek = check_endorsement_key(*area).ok();
  require(!(ak && ek));
  if (ek)
    require(make_credential(*area, area->name, bytes(32, 1)).ok());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const byte_view rest(data + 1, size - 1);
  switch (data[0] % 3) {
  case 0:
    on_quote(rest);
    break;
  case 1:
    on_signature(rest);
    break;
  default:
    on_public(rest);
    break;
  }
  return 0;
}
