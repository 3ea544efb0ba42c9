#include "adapters/tpm/ek_chain.hpp"

#include <algorithm>

namespace custos::tpm {

namespace {

constexpr std::uint8_t der_sequence = 0x30;

/// Length of the DER SEQUENCE at the beginning, head included (X.690, 8.1.3); 0 if there is none.
std::size_t sequence_bytes(byte_view data) {
  if (data.size() < 2 || data[0] != der_sequence)
    return 0;
  if (data[1] < 0x80)
    return 2U + data[1];
  const std::size_t octets = data[1] & 0x7FU;
  if (octets == 0 || octets > 2 || data.size() < 2 + octets)
    return 0; // a certificate of 64 KiB or more is none
  std::size_t length = 0;
  for (std::size_t i = 0; i < octets; ++i)
    length = length << 8U | data[2 + i];
  return 2 + octets + length;
}

} // namespace

result<std::vector<crypto::certificate>> split_chain(byte_view concatenated) {
  if (concatenated.size() > chain_bytes_max)
    return make_error(errc::too_large, "EK certificate chain: expected at most 65536 bytes");
  std::vector<crypto::certificate> out;
  while (!concatenated.empty()) {
    if (concatenated[0] == 0x00 || concatenated[0] == 0xFF) {
      concatenated = concatenated.subspan(1);
      continue;
    }
    const auto size = sequence_bytes(concatenated);
    if (size == 0 || size > concatenated.size())
      return make_error(errc::malformed, "EK certificate chain: expected a whole certificate");
    if (out.size() == chain_certificates_max)
      return make_error(errc::too_large, "EK certificate chain: expected at most 32 certificates");
    CUSTOS_TRY(auto certificate, crypto::certificate_from_der(concatenated.first(size)));
    out.push_back(std::move(certificate));
    concatenated = concatenated.subspan(size);
  }
  return out;
}

std::vector<bytes> path_above(const crypto::certificate& leaf,
                              const std::vector<crypto::certificate>& pool, std::size_t max) {
  std::vector<bytes> out;
  auto wanted = leaf.issuer();
  while (out.size() < max) {
    const auto next = std::find_if(pool.begin(), pool.end(), [&](const auto& c) {
      return c.subject() == wanted && c.issuer() != wanted && c.der() != leaf.der() &&
             std::find(out.begin(), out.end(), c.der()) == out.end();
    });
    if (next == pool.end())
      return out;
    out.push_back(next->der());
    wanted = next->issuer();
  }
  return out;
}

} // namespace custos::tpm
