// PCRs: banks, values, quotes.

#include "adapters/tpm/host_tpm_impl.hpp"

#include <algorithm>
#include <cstring>

namespace custos::tpm {

namespace {

/// PCR 10 moves whenever a file is measured: on a busy host several attempts are nothing unusual.
constexpr int quote_attempts_max = 8;
constexpr const char* pcr_moved = "a PCR changed while they were read";

void select(TPMS_PCR_SELECTION& s, crypto::hash_alg alg, std::uint32_t mask) {
  s.hash = static_cast<TPMI_ALG_HASH>(alg);
  s.sizeofSelect = 3;
  for (unsigned i = 0; i < 3; ++i)
    s.pcrSelect[i] = static_cast<BYTE>(mask >> (8U * i));
}

std::uint32_t mask_of(const TPMS_PCR_SELECTION& s) {
  std::uint32_t mask = 0;
  for (unsigned i = 0; i < s.sizeofSelect && i < 3; ++i)
    mask |= std::uint32_t{s.pcrSelect[i]} << (8U * i);
  return mask;
}

/// Appends what one TPM2_PCR_Read gave; returns how many values.
std::size_t take_values(const TPML_PCR_SELECTION& got, const TPML_DIGEST& values,
                        std::vector<pcr_value>& out) {
  std::size_t next = 0;
  for (UINT32 i = 0; i < got.count; ++i)
    for (std::uint32_t pcr = 0; pcr < pcrs_max; ++pcr)
      if (((mask_of(got.pcrSelections[i]) >> pcr) & 1U) != 0 && next < values.count) {
        const auto& d = values.digests[next++];
        out.push_back({got.pcrSelections[i].hash, pcr, bytes(d.buffer, d.buffer + d.size)});
      }
  return next;
}

/// Takes what was given off what is wanted; whether anything is left.
bool subtract(TPML_PCR_SELECTION& wanted, const TPML_PCR_SELECTION& got) {
  std::uint32_t left = 0;
  for (UINT32 i = 0; i < wanted.count && i < got.count; ++i) {
    auto& entry = wanted.pcrSelections[i];
    const auto rest = mask_of(entry) & ~mask_of(got.pcrSelections[i]);
    select(entry, static_cast<crypto::hash_alg>(entry.hash), rest);
    left |= rest;
  }
  return left != 0;
}

} // namespace

result<std::vector<pcr_value>> host_tpm::impl::read_pcrs(TPML_PCR_SELECTION wanted) {
  std::vector<pcr_value> out;
  std::optional<std::uint32_t> counter;
  for (;;) {
    UINT32 update = 0;
    TPML_PCR_SELECTION* got = nullptr;
    TPML_DIGEST* values = nullptr;
    const auto rc = Esys_PCR_Read(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted, &update,
                                  &got, &values);
    const esys_ptr<TPML_PCR_SELECTION> got_owned(got);
    const esys_ptr<TPML_DIGEST> values_owned(values);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("reading PCRs", rc);
    if (counter && *counter != update)
      return make_error(errc::cancelled, pcr_moved);
    counter = update;
    // A TPM gives at most 8 values a call, and none when it has no more.
    if (take_values(*got, *values, out) == 0 || !subtract(wanted, *got))
      return out;
  }
}

result<std::vector<crypto::hash_alg>> host_tpm::active_banks() {
  TPMS_CAPABILITY_DATA* data = nullptr;
  TPMI_YES_NO more = TPM2_NO;
  const auto rc = Esys_GetCapability(impl_->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                     TPM2_CAP_PCRS, 0, 1, &more, &data);
  const esys_ptr<TPMS_CAPABILITY_DATA> owned(data);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("asking for the PCR banks", rc);
  std::vector<crypto::hash_alg> out;
  for (UINT32 i = 0; i < data->data.assignedPCR.count; ++i) {
    const auto& s = data->data.assignedPCR.pcrSelections[i];
    const bool known = s.hash == TPM2_ALG_SHA1 || s.hash == TPM2_ALG_SHA256 ||
                       s.hash == TPM2_ALG_SHA384 || s.hash == TPM2_ALG_SHA512;
    if (known && mask_of(s) != 0)
      out.push_back(static_cast<crypto::hash_alg>(s.hash));
  }
  return out;
}

result<quoted> host_tpm::quote(const ak_blob& ak, std::uint32_t mask, byte_view qualifying_data) {
  CUSTOS_TRY(const auto area, ak_public(ak));
  CUSTOS_TRY(const auto known, parse_public(area));
  CUSTOS_CHECK(check_attestation_key(known));
  CUSTOS_TRY(const auto banks, active_banks());
  TPML_PCR_SELECTION wanted{};
  for (const auto alg : banks)
    if (alg != crypto::hash_alg::sha1)
      select(wanted.pcrSelections[wanted.count++], alg, mask);
  TPM2B_DATA extra{};
  if (wanted.count == 0)
    return make_error(errc::tpm_failure, "the TPM has no active PCR bank of SHA-256 or better");
  if (qualifying_data.size() > sizeof extra.buffer)
    return make_error(errc::invalid_argument, "expected less qualifying data");
  extra.size = static_cast<UINT16>(qualifying_data.size());
  std::memcpy(extra.buffer, qualifying_data.data(), qualifying_data.size());
  CUSTOS_TRY(const auto key, impl_->open_ak(ak));
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_NULL; // the key's own
  for (int attempt = 0; attempt < quote_attempts_max; ++attempt) {
    auto values = impl_->read_pcrs(wanted);
    if (!values && values.failure().code == errc::cancelled)
      continue;
    quoted out;
    CUSTOS_TRY(out.pcrs, std::move(values));
    TPM2B_ATTEST* attest_out = nullptr;
    TPMT_SIGNATURE* signature = nullptr;
    const auto rc = Esys_Quote(impl_->esys, key.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                               &extra, &scheme, &wanted, &attest_out, &signature);
    const esys_ptr<TPM2B_ATTEST> attest_owned(attest_out);
    const esys_ptr<TPMT_SIGNATURE> signature_owned(signature);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("quoting", rc);
    out.quote.assign(attest_out->attestationData, attest_out->attestationData + attest_out->size);
    CUSTOS_TRY(out.signature, marshal<TPMT_SIGNATURE>(Tss2_MU_TPMT_SIGNATURE_Marshal, *signature));
    CUSTOS_TRY(const auto parsed, parse_quote(out.quote));
    CUSTOS_TRY(const auto digest,
               pcr_composite_digest(known.scheme->hash, parsed.selection, out.pcrs));
    out.clock = parsed.clock;
    if (crypto::equal(digest, parsed.pcr_digest))
      return out;
  }
  auto e = make_error(errc::tpm_failure, "the PCRs kept changing between reading and quoting");
  e.retryable = true;
  return e;
}

result<void> host_tpm::extend(std::uint32_t pcr, const std::vector<crypto::hash_alg>& banks,
                              const std::vector<bytes>& digests) {
  TPML_DIGEST_VALUES values{};
  for (std::size_t i = 0; i < banks.size() && i < digests.size(); ++i) {
    auto& d = values.digests[values.count++];
    d.hashAlg = static_cast<TPMI_ALG_HASH>(banks[i]);
    std::memcpy(&d.digest, digests[i].data(), std::min(digests[i].size(), sizeof d.digest));
  }
  // PCR handles are 0-23 in ESYS as in the TPM.
  const auto rc = Esys_PCR_Extend(impl_->esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                  ESYS_TR_NONE, &values);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("extending a PCR", rc);
  return {};
}

} // namespace custos::tpm
