#include "actors/attestation/ak_certificate.hpp"

namespace custos::attestation {

namespace {

constexpr std::uint8_t extension_version = 1;
constexpr std::size_t part_bytes_max = 16384;
constexpr std::size_t named_parts = 3;
/// ub-common-name (RFC 5280, appendix A.1): a host id may be longer.
constexpr std::size_t common_name_chars_max = 64;
constexpr std::string_view key_label = "custos-ak-certificate-v1";
constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;

error ak_error(std::string message) {
  error e = field_error(errc::attestation_failed, "/ak_certificate", std::move(message));
  e.check = "ak-certificate";
  return e;
}

/// version(1) || parts, each length(2, big-endian) || octets: host id, TPMT_PUBLIC, EK SPKI, EK
/// chain.
void add_part(bytes& out, byte_view part) {
  out.push_back(static_cast<std::uint8_t>(part.size() >> 8U));
  out.push_back(static_cast<std::uint8_t>(part.size() & 0xFFU));
  out.insert(out.end(), part.begin(), part.end());
}

result<std::vector<bytes>> parts_of(byte_view data) {
  std::vector<bytes> out;
  if (data.empty() || data[0] != extension_version)
    return ak_error("the AK certificate has an extension of another version");
  data = data.subspan(1);
  while (!data.empty()) {
    if (data.size() < 2)
      return ak_error("the AK certificate's extension is cut short");
    const std::size_t size = (std::size_t{data[0]} << 8U) | data[1];
    data = data.subspan(2);
    if (size > data.size() || size > part_bytes_max ||
        out.size() == named_parts + ek_chain_certificates_max)
      return ak_error("the AK certificate's extension is cut short");
    out.push_back(to_bytes(data.first(size)));
    data = data.subspan(size);
  }
  if (out.size() < named_parts)
    return ak_error("the AK certificate's extension is cut short");
  return out;
}

} // namespace

result<crypto::certificate> issue_ak_certificate(const ak_identity& who, const crypto::key& ca_key,
                                                 const crypto::certificate& ca) {
  bytes extension{extension_version};
  add_part(extension, as_bytes(who.host));
  add_part(extension, who.ak.marshalled);
  add_part(extension, who.ek_spki);
  for (const auto& der : who.ek_chain)
    add_part(extension, der);
  crypto::certificate_request request;
  request.common_name = who.host.substr(0, common_name_chars_max); // for people
  request.not_before = who.not_before;
  request.not_after = who.not_after;
  request.extensions.push_back({ak_extension_oid, std::move(extension)});
  return crypto::issue_certificate(request, who.ak.key, ca_key, &ca);
}

result<ak_identity> read_ak_certificate(byte_view der, const crypto::certificate& ca) {
  auto cert = crypto::certificate_from_der(der);
  if (!cert)
    return ak_error(cert.failure().message);
  crypto::verify_options options;
  options.ignore_validity = true;
  if (auto verified = crypto::verify_chain(*cert, {}, {ca}, options); !verified)
    return ak_error("the AK certificate was not issued by this cluster");
  const auto extension = crypto::extension_of(*cert, ak_extension_oid);
  if (!extension)
    return ak_error("the AK certificate lacks our extension");
  CUSTOS_TRY(auto parts, parts_of(*extension));
  auto area = tpm::parse_certified_public(parts[1], cert->public_key());
  if (!area)
    return ak_error("the AK certificate's extension: " + area.failure().message);
  ak_identity out;
  out.host = as_text(parts[0]);
  out.ak = *std::move(area);
  out.ek_spki = std::move(parts[2]);
  out.ek_chain.assign(std::make_move_iterator(parts.begin() + named_parts),
                      std::make_move_iterator(parts.end()));
  out.not_before = cert->not_before();
  out.not_after = cert->not_after();
  return out;
}

result<bytes> encrypt_ak_certificate(byte_view secret, byte_view der) {
  const auto key = crypto::digest(crypto::hash_alg::sha256, {as_bytes(key_label), secret});
  auto out = crypto::random_bytes(nonce_bytes);
  CUSTOS_TRY(const auto sealed, crypto::aes256_gcm_seal(key, out, {}, der));
  out.insert(out.end(), sealed.ciphertext.begin(), sealed.ciphertext.end());
  out.insert(out.end(), sealed.tag.begin(), sealed.tag.end());
  return out;
}

result<bytes> decrypt_ak_certificate(byte_view secret, byte_view encrypted) {
  if (encrypted.size() < nonce_bytes + tag_bytes)
    return ak_error("the encrypted AK certificate is cut short");
  const auto key = crypto::digest(crypto::hash_alg::sha256, {as_bytes(key_label), secret});
  const auto body = encrypted.subspan(nonce_bytes, encrypted.size() - nonce_bytes - tag_bytes);
  CUSTOS_TRY(const auto der, crypto::aes256_gcm_open(key, encrypted.first(nonce_bytes), {}, body,
                                                     encrypted.last(tag_bytes)));
  return to_bytes(der.reveal_secret()); // a certificate is no secret, the way here was
}

} // namespace custos::attestation
