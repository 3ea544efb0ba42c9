#include "adapters/tpm/structures.hpp"
#include "adapters/tpm/unmarshal.hpp"

#include <algorithm>
#include <array>

namespace custos::tpm {

using namespace internal;

namespace {

error checked(error e, const char* check) {
  e.check = check;
  return e;
}

error quote_error(errc code, const char* check, std::string message) {
  return checked(make_error(code, std::move(message)), check);
}

result<std::vector<pcr_selection>> read_selection(const TPML_PCR_SELECTION& in) {
  constexpr const char* check = "quote-malformed";
  if (in.count > selections_max)
    return quote_error(errc::malformed, check, "quote: more than 16 PCR selections");
  std::vector<pcr_selection> out;
  out.reserve(in.count);
  for (std::uint32_t i = 0; i < in.count; ++i) {
    const auto& entry = in.pcrSelections[i]; // NOLINT: bounded by selections_max above
    if (entry.sizeofSelect < 1 || entry.sizeofSelect > 4)
      return quote_error(errc::malformed, check, "quote: sizeofSelect is not 1 to 4");
    pcr_selection selection;
    auto bank = hash_of(entry.hash, "quote: PCR bank");
    if (!bank)
      return checked(std::move(bank).failure(), check);
    selection.bank = *bank;
    for (std::uint32_t octet = 0; octet < entry.sizeofSelect; ++octet)
      selection.mask |= static_cast<std::uint32_t>(entry.pcrSelect[octet]) << (8 * octet); // NOLINT
    if (selection.mask >> pcrs_max != 0)
      return quote_error(errc::malformed, check, "quote: a PCR above 23 is selected");
    if (std::any_of(out.begin(), out.end(),
                    [&](const pcr_selection& s) { return s.bank == selection.bank; }))
      return quote_error(errc::malformed, check, "quote: a PCR bank is selected twice");
    out.push_back(selection);
  }
  return out;
}

/// Left-pads r and s to the field size: TPMs may strip leading zeros.
result<bytes> join_r_s(const signature& sig, std::size_t field_bytes) {
  if (sig.r.empty() || sig.s.empty() || sig.r.size() > field_bytes || sig.s.size() > field_bytes)
    return quote_error(errc::attestation_failed, "quote-signature",
                       "signature: r and s are not of the curve's size");
  bytes out(2 * field_bytes, 0);
  std::copy(sig.r.begin(), sig.r.end(),
            out.begin() + static_cast<long>(field_bytes - sig.r.size()));
  std::copy(sig.s.begin(), sig.s.end(), out.end() - static_cast<long>(sig.s.size()));
  return out;
}

error selection_error(crypto::hash_alg bank, std::uint32_t pcr, const char* what) {
  auto e = quote_error(errc::attestation_failed, "pcr-selection",
                       "PCR " + std::to_string(pcr) + " of bank " +
                           std::string(crypto::to_string(bank)) + ": " + what);
  e.pcr = pcr;
  return e;
}

} // namespace

result<attest> parse_quote(byte_view data) {
  constexpr const char* check = "quote-malformed";
  if (data.size() > quote_bytes_max)
    return quote_error(errc::too_large, check, "quote: longer than quote_bytes_max");
  if (data.size() < 6)
    return quote_error(errc::malformed, check, "quote: shorter than magic and type");
  // Both are judged before the rest is looked at, so that a blob of another kind is named as such.
  const auto magic = static_cast<std::uint32_t>(data[0]) << 24 |
                     static_cast<std::uint32_t>(data[1]) << 16 |
                     static_cast<std::uint32_t>(data[2]) << 8 | data[3];
  if (magic != TPM2_GENERATED_VALUE)
    return quote_error(errc::attestation_failed, "quote-magic",
                       "quote: not made by a TPM (magic is not TPM_GENERATED_VALUE)");
  if ((data[4] << 8 | data[5]) != TPM2_ST_ATTEST_QUOTE)
    return quote_error(errc::attestation_failed, "quote-type",
                       "quote: attests something else (type is not TPM_ST_ATTEST_QUOTE)");
  TPMS_ATTEST in{};
  if (auto read = unmarshal(&Tss2_MU_TPMS_ATTEST_Unmarshal, data, in, "quote"); !read)
    return checked(std::move(read).failure(), check);
  if (in.clockInfo.safe != TPM2_YES && in.clockInfo.safe != TPM2_NO)
    return quote_error(errc::malformed, check, "quote: clockInfo.safe is neither YES nor NO");
  attest out;
  const auto& signer = in.qualifiedSigner;
  out.qualified_signer.assign(signer.name, signer.name + signer.size);
  out.extra_data = to_bytes(view_of(in.extraData));
  out.clock = {.clock = in.clockInfo.clock,
               .reset_count = in.clockInfo.resetCount,
               .restart_count = in.clockInfo.restartCount,
               .safe = in.clockInfo.safe == TPM2_YES};
  out.firmware_version = in.firmwareVersion;
  CUSTOS_TRY(out.selection, read_selection(in.attested.quote.pcrSelect));
  out.pcr_digest = to_bytes(view_of(in.attested.quote.pcrDigest));
  return out;
}

result<signature> parse_signature(byte_view data) {
  constexpr const char* check = "quote-signature";
  if (data.size() > signature_bytes_max)
    return quote_error(errc::too_large, check, "signature: longer than signature_bytes_max");
  TPMT_SIGNATURE in{};
  if (auto read = unmarshal(&Tss2_MU_TPMT_SIGNATURE_Unmarshal, data, in, "signature"); !read)
    return checked(std::move(read).failure(), check);
  signature out;
  TPM2_ALG_ID hash = TPM2_ALG_NULL;
  switch (in.sigAlg) {
  case TPM2_ALG_RSASSA:
  case TPM2_ALG_RSAPSS: // the union's members have one layout
    hash = in.signature.rsassa.hash;
    out.value = to_bytes(view_of(in.signature.rsassa.sig));
    break;
  case TPM2_ALG_ECDSA:
    hash = in.signature.ecdsa.hash;
    out.r = to_bytes(view_of(in.signature.ecdsa.signatureR));
    out.s = to_bytes(view_of(in.signature.ecdsa.signatureS));
    break;
  default:
    return quote_error(errc::unsupported, check, "signature: expected RSASSA, RSAPSS or ECDSA");
  }
  out.alg = static_cast<scheme_alg>(in.sigAlg);
  auto known = hash_of(hash, "signature");
  if (!known)
    return checked(std::move(known).failure(), check);
  out.hash = *known;
  return out;
}

result<void> verify_quote_signature(const public_area& ak, byte_view attest_bytes,
                                    const signature& sig, bool allow_sha1) {
  const auto refuse = [](const char* message) {
    return quote_error(errc::attestation_failed, "quote-signature", message);
  };
  if (!ak.scheme)
    return refuse("signature: the attestation key has no scheme of its own");
  if (sig.alg != ak.scheme->alg || sig.hash != ak.scheme->hash)
    return refuse("signature: scheme or hash is not the attestation key's");
  const auto hash = ak.scheme->hash;
  if (hash == crypto::hash_alg::sha1 && !allow_sha1)
    return refuse("signature: SHA-1 is not allowed");
  bool good = false;
  switch (ak.scheme->alg) {
  case scheme_alg::rsassa:
    good = crypto::rsassa_verify(ak.key, hash, attest_bytes, sig.value);
    break;
  case scheme_alg::rsapss:
    good = crypto::rsapss_verify(ak.key, hash, attest_bytes, sig.value);
    break;
  case scheme_alg::ecdsa: {
    CUSTOS_TRY(const bytes r_s, join_r_s(sig, (ak.key.bits() + 7) / 8));
    good = crypto::ecdsa_verify(ak.key, hash, attest_bytes, r_s);
    break;
  }
  }
  if (!good)
    return refuse("signature: does not verify with the attestation key");
  return {};
}

result<bytes> pcr_composite_digest(crypto::hash_alg signature_hash,
                                   std::span<const pcr_selection> selection,
                                   std::span<const pcr_value> values) {
  if (selection.size() > selections_max)
    return quote_error(errc::malformed, "quote-malformed", "quote: more than 16 PCR selections");
  std::array<std::array<const pcr_value*, pcrs_max>, selections_max> found{};
  for (const auto& value : values) {
    const auto entry =
        std::find_if(selection.begin(), selection.end(), [&](const pcr_selection& s) {
          return static_cast<std::uint16_t>(s.bank) == value.bank;
        });
    if (entry == selection.end() || value.pcr >= pcrs_max || (entry->mask >> value.pcr & 1U) == 0) {
      auto e =
          quote_error(errc::attestation_failed, "pcr-selection",
                      "PCR " + std::to_string(value.pcr) + " of bank " +
                          std::to_string(value.bank) + ": a value beside the signed selection");
      e.pcr = value.pcr;
      return e;
    }
    auto& slot = found.at(static_cast<std::size_t>(entry - selection.begin())).at(value.pcr);
    if (slot != nullptr)
      return selection_error(entry->bank, value.pcr, "given twice");
    if (value.value.size() != crypto::digest_size(entry->bank))
      return selection_error(entry->bank, value.pcr, "value is not as long as the bank's digest");
    slot = &value;
  }
  bytes concatenation;
  concatenation.reserve(values.size() * 64);
  for (std::size_t i = 0; i < selection.size(); ++i)
    for (std::uint32_t pcr = 0; pcr < pcrs_max; ++pcr) {
      if ((selection[i].mask >> pcr & 1U) == 0)
        continue;
      const auto* value = found.at(i).at(pcr);
      if (value == nullptr)
        return selection_error(selection[i].bank, pcr, "selected by the quote, but not given");
      concatenation.insert(concatenation.end(), value->value.begin(), value->value.end());
    }
  return crypto::digest(signature_hash, {concatenation});
}

} // namespace custos::tpm
