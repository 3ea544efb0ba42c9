// The endorsement key and what its maker left in NV about it.

#include "adapters/tpm/ek_chain.hpp"
#include "adapters/tpm/host_tpm_impl.hpp"

#include <algorithm>
#include <cstring>

namespace custos::tpm {

namespace {

constexpr TPM2_HANDLE chain_first_index = 0x01C00100;
constexpr TPM2_HANDLE chain_last_index = 0x01C001FF;
constexpr std::size_t nv_index_bytes_max = 8192;

} // namespace

std::uint16_t host_tpm::impl::nv_buffer_bytes() {
  TPMS_CAPABILITY_DATA* data = nullptr;
  TPMI_YES_NO more = TPM2_NO;
  const auto rc =
      Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
                         TPM2_PT_NV_BUFFER_MAX, 1, &more, &data);
  const esys_ptr<TPMS_CAPABILITY_DATA> owned(data);
  if (rc != TSS2_RC_SUCCESS || data->data.tpmProperties.count == 0 ||
      data->data.tpmProperties.tpmProperty[0].property != TPM2_PT_NV_BUFFER_MAX)
    return nv_read_bytes_min; // slow, but every TPM does it
  const auto told = data->data.tpmProperties.tpmProperty[0].value;
  return static_cast<std::uint16_t>(
      std::clamp<std::uint32_t>(told, nv_read_bytes_min, TPM2_MAX_NV_BUFFER_SIZE));
}

result<bytes> host_tpm::impl::read_nv(TPM2_HANDLE index) {
  CUSTOS_TRY(const auto there, handles(index, index));
  if (there.empty())
    return make_error(errc::not_found, "there is no such NV index");
  CUSTOS_TRY(const auto handle, from_tpm(index, "reading about an NV index of the TPM's maker"));
  TPM2B_NV_PUBLIC* about = nullptr;
  auto rc = Esys_NV_ReadPublic(esys, handle.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &about,
                               nullptr);
  const esys_ptr<TPM2B_NV_PUBLIC> about_owned(about);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("reading about an NV index of the TPM's maker", rc);
  const auto attributes = about->nvPublic.attributes;
  const std::size_t size = about->nvPublic.dataSize;
  if ((attributes & TPMA_NV_WRITTEN) == 0 || size == 0)
    return make_error(errc::not_found, "the NV index was never written");
  if (size > nv_index_bytes_max)
    return make_error(errc::too_large, "expected an NV index of at most 8192 bytes");
  const ESYS_TR authority =
      (attributes & TPMA_NV_AUTHREAD) != 0 ? handle.get() : ESYS_TR{ESYS_TR_RH_OWNER};
  const std::size_t part_max = nv_buffer_bytes();
  bytes out;
  while (out.size() < size) {
    const auto part = static_cast<UINT16>(std::min(size - out.size(), part_max));
    TPM2B_MAX_NV_BUFFER* data = nullptr;
    rc = Esys_NV_Read(esys, authority, handle.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                      part, static_cast<UINT16>(out.size()), &data);
    const esys_ptr<TPM2B_MAX_NV_BUFFER> owned(data);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("reading an NV index of the TPM's maker", rc);
    if (data->size == 0)
      return make_error(errc::tpm_failure, "the TPM reads an NV index shorter than it says it is");
    out.insert(out.end(), data->buffer, data->buffer + data->size);
  }
  return out;
}

result<const ek_slot*> host_tpm::impl::present_slot() {
  const auto slots = ek_slots();
  CUSTOS_TRY(const auto there, handles(slots.front().certificate, chain_first_index - 1));
  const ek_slot* fallback = nullptr;
  for (const auto& slot : slots) {
    if (wanted_ek != ek_kind::automatic && slot.kind != wanted_ek)
      continue;
    if (std::find(there.begin(), there.end(), slot.certificate) != there.end())
      return &slot;
    if (fallback == nullptr)
      fallback = &slot;
  }
  return fallback; // there is one of every kind
}

result<TPM2B_PUBLIC> host_tpm::impl::shape_of(const ek_slot& slot) {
  auto shape = ek_template(slot);
  auto own = read_nv(slot.shape);
  if (!own && own.failure().code != errc::not_found)
    return own.failure();
  if (own) {
    // Behind the template there may be padding, as behind certificates.
    std::size_t offset = 0;
    TPMT_PUBLIC area{};
    if (Tss2_MU_TPMT_PUBLIC_Unmarshal(own->data(), own->size(), &offset, &area) != TSS2_RC_SUCCESS)
      return make_error(errc::tpm_failure, "the EK template in NV does not unmarshal");
    shape.publicArea = area;
  }
  auto nonce = slot.nonce == 0 ? result<bytes>(make_error(errc::not_found, "")) // no such index
                               : read_nv(slot.nonce);
  if (!nonce && nonce.failure().code != errc::not_found)
    return nonce.failure();
  if (nonce) {
    auto& unique = shape.publicArea.unique;
    const bool rsa = shape.publicArea.type == TPM2_ALG_RSA;
    const std::size_t room = rsa ? 256 : 32;
    if (nonce->size() > room)
      return make_error(errc::tpm_failure, "the EK nonce in NV is longer than the key");
    std::memcpy(rsa ? unique.rsa.buffer : unique.ecc.x.buffer, nonce->data(), nonce->size());
  }
  return shape;
}

result<host_tpm::impl::made_primary> host_tpm::impl::create_ek() {
  CUSTOS_TRY(const auto* const slot, present_slot());
  CUSTOS_TRY(const auto shape, shape_of(*slot));
  return create_primary(ESYS_TR_RH_ENDORSEMENT, shape);
}

result<ek_credentials> host_tpm::read_ek_credentials() {
  CUSTOS_TRY(const auto* const slot, impl_->present_slot());
  ek_credentials out;
  auto certificate = impl_->read_nv(slot->certificate);
  if (!certificate && certificate.failure().code == errc::not_found)
    return out;
  CUSTOS_TRY(out.certificate, std::move(certificate));
  const auto leaf = crypto::certificate_from_nv(out.certificate);
  if (!leaf)
    return out; // a node says what is wrong with it
  CUSTOS_TRY(const auto indices, impl_->handles(chain_first_index, chain_last_index));
  bytes concatenated;
  for (const auto index : indices) {
    const auto part = impl_->read_nv(index);
    if (!part && part.failure().code == errc::not_found)
      continue;
    if (!part || concatenated.size() + part->size() > chain_bytes_max)
      return out;
    concatenated.insert(concatenated.end(), part->begin(), part->end());
  }
  if (const auto pool = split_chain(concatenated))
    out.intermediates = path_above(*leaf, *pool, ek_intermediates_max);
  return out;
}

result<bytes> host_tpm::ek_public() {
  CUSTOS_TRY(const auto ek, impl_->create_ek());
  return marshal<TPMT_PUBLIC>(Tss2_MU_TPMT_PUBLIC_Marshal, ek.area.publicArea);
}

} // namespace custos::tpm
