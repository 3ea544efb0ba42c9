#include "adapters/tpm/host_tpm.hpp"

#include "adapters/tpm/host_tpm_impl.hpp"

#include <algorithm>
#include <cstring>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

namespace custos::tpm {

namespace {

/// What a TPM answers about algorithms and sizes that it does not have.
bool says_unsupported(TSS2_RC rc) {
  switch (bare(rc)) {
  case TPM2_RC_ASYMMETRIC:
  case TPM2_RC_HASH:
  case TPM2_RC_VALUE:
  case TPM2_RC_KEY_SIZE:
  case TPM2_RC_SCHEME:
  case TPM2_RC_CURVE:
    return true;
  default:
    return false;
  }
}

} // namespace

error tpm_error(const char* doing, TSS2_RC rc) {
  auto e = make_error(errc::tpm_failure, std::string(doing) + ": " + Tss2_RC_Decode(rc));
  e.retryable = true;
  return e;
}

error not_unmarshalled(const char* what) {
  return make_error(errc::malformed, std::string(what) + " does not unmarshal");
}

host_tpm::impl::~impl() {
  Esys_Finalize(&esys);
  Tss2_TctiLdr_Finalize(&tcti);
}

result<host_tpm::impl::made_primary> host_tpm::impl::create_primary(ESYS_TR hierarchy,
                                                                    const TPM2B_PUBLIC& shape) {
  TPM2B_SENSITIVE_CREATE sensitive{};
  TPM2B_DATA outside{};
  TPML_PCR_SELECTION none{};
  ESYS_TR handle = ESYS_TR_NONE;
  TPM2B_PUBLIC* made = nullptr;
  const auto rc =
      Esys_CreatePrimary(esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                         &shape, &outside, &none, &handle, &made, nullptr, nullptr, nullptr);
  const esys_ptr<TPM2B_PUBLIC> owned(made);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("making a primary key", rc);
  return made_primary{object(esys, handle), *made};
}

result<host_tpm::impl::object> host_tpm::impl::load_ak(const ak_blob& ak) {
  CUSTOS_TRY(const auto shape, unmarshal<TPM2B_PUBLIC>(Tss2_MU_TPM2B_PUBLIC_Unmarshal,
                                                       ak.public_area, "AK public area"));
  CUSTOS_TRY(const auto sealed, unmarshal<TPM2B_PRIVATE>(Tss2_MU_TPM2B_PRIVATE_Unmarshal,
                                                         ak.private_area, "AK private area"));
  CUSTOS_TRY(const auto parent, create_primary(ESYS_TR_RH_OWNER, srk_template()));
  ESYS_TR handle = ESYS_TR_NONE;
  const auto rc = Esys_Load(esys, parent.handle.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                            &sealed, &shape, &handle);
  if (is_tpm_code(rc) && (bare(rc) == TPM2_RC_INTEGRITY || bare(rc) == TPM2_RC_BINDING))
    return make_error(errc::corrupted,
                      "the TPM does not know the attestation key: it was cleared, or it is another "
                      "TPM than the one that made the key");
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("loading the attestation key", rc);
  return object(esys, handle);
}

result<host_tpm::impl::object> host_tpm::impl::from_tpm(TPM2_HANDLE handle, const char* doing) {
  ESYS_TR out = ESYS_TR_NONE;
  const auto rc =
      Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &out);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error(doing, rc);
  return object(esys, out, false);
}

result<host_tpm::impl::object> host_tpm::impl::open_ak(const ak_blob& ak) {
  if (ak.handle == 0)
    return load_ak(ak);
  CUSTOS_TRY(auto found,
             from_tpm(ak.handle, "opening the attestation key at its persistent handle"));
  TPM2B_NAME* name = nullptr;
  const auto rc = Esys_TR_GetName(esys, found.get(), &name);
  const esys_ptr<TPM2B_NAME> owned(name);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("asking for the name of the attestation key", rc);
  CUSTOS_TRY(const auto area, parse_public(ak.public_area));
  if (!crypto::equal(area.name, byte_view(name->name, name->size)))
    return make_error(errc::corrupted, "another key is at the attestation key's handle");
  return found;
}

result<std::vector<TPM2_HANDLE>> host_tpm::impl::handles(TPM2_HANDLE first, TPM2_HANDLE last) {
  std::vector<TPM2_HANDLE> out;
  for (;;) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    TPMI_YES_NO more = TPM2_NO;
    const auto rc = Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                       TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &more, &data);
    const esys_ptr<TPMS_CAPABILITY_DATA> owned(data);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("listing handles", rc);
    const auto& list = data->data.handles;
    for (UINT32 i = 0; i < list.count; ++i) {
      if (list.handle[i] > last)
        return out;
      out.push_back(list.handle[i]);
    }
    if (more == TPM2_NO || list.count == 0 || out.back() == last)
      return out;
    first = out.back() + 1;
  }
}

host_tpm::host_tpm(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
host_tpm::~host_tpm() = default;

result<std::unique_ptr<host_tpm>> host_tpm::open(const std::string& tcti, ek_kind ek) {
  auto i = std::make_unique<impl>();
  i->wanted_ek = ek;
  if (const auto rc = Tss2_TctiLdr_Initialize(tcti.c_str(), &i->tcti); rc != TSS2_RC_SUCCESS)
    return tpm_error(("opening the TPM at \"" + tcti + "\"").c_str(), rc);
  if (const auto rc = Esys_Initialize(&i->esys, i->tcti, nullptr); rc != TSS2_RC_SUCCESS)
    return tpm_error(("starting with the TPM at \"" + tcti + "\"").c_str(), rc);
  return std::unique_ptr<host_tpm>(new host_tpm(std::move(i)));
}

// ---- the attestation key

result<ak_blob> host_tpm::create_ak(ak_algorithm alg) {
  CUSTOS_TRY(const auto parent, impl_->create_primary(ESYS_TR_RH_OWNER, srk_template()));
  const auto shape = ak_template(alg);
  TPM2B_SENSITIVE_CREATE sensitive{};
  TPM2B_DATA outside{};
  TPML_PCR_SELECTION none{};
  TPM2B_PRIVATE* sealed = nullptr;
  TPM2B_PUBLIC* made = nullptr;
  const auto rc =
      Esys_Create(impl_->esys, parent.handle.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                  &sensitive, &shape, &outside, &none, &sealed, &made, nullptr, nullptr, nullptr);
  const esys_ptr<TPM2B_PRIVATE> sealed_owned(sealed);
  const esys_ptr<TPM2B_PUBLIC> made_owned(made);
  if (is_tpm_code(rc) && says_unsupported(rc))
    return field_error(errc::unsupported, "--ak-algorithm",
                       "the TPM has no " + std::string(to_string(alg)) + ": " + Tss2_RC_Decode(rc));
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("making an attestation key", rc);
  ak_blob out;
  CUSTOS_TRY(out.public_area, marshal<TPM2B_PUBLIC>(Tss2_MU_TPM2B_PUBLIC_Marshal, *made));
  CUSTOS_TRY(out.private_area, marshal<TPM2B_PRIVATE>(Tss2_MU_TPM2B_PRIVATE_Marshal, *sealed));
  return out;
}

result<void> host_tpm::try_load(const ak_blob& ak) {
  CUSTOS_TRY(const auto loaded, impl_->load_ak(ak));
  return {};
}

result<std::optional<bytes>> host_tpm::persistent_public(std::uint32_t handle) {
  CUSTOS_TRY(const auto found, impl_->handles(handle, handle));
  if (found.empty())
    return std::optional<bytes>();
  CUSTOS_TRY(const auto object, impl_->from_tpm(handle, "reading about a persistent key"));
  TPM2B_PUBLIC* area = nullptr;
  const auto rc = Esys_ReadPublic(impl_->esys, object.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_NONE, &area, nullptr, nullptr);
  const esys_ptr<TPM2B_PUBLIC> owned(area);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("reading about a persistent key", rc);
  CUSTOS_TRY(auto out, marshal<TPM2B_PUBLIC>(Tss2_MU_TPM2B_PUBLIC_Marshal, *area));
  return std::optional<bytes>(std::move(out));
}

result<void> host_tpm::make_persistent(const ak_blob& ak, std::uint32_t handle) {
  CUSTOS_TRY(const auto loaded, impl_->load_ak(ak));
  ESYS_TR made = ESYS_TR_NONE;
  const auto rc = Esys_EvictControl(impl_->esys, ESYS_TR_RH_OWNER, loaded.get(), ESYS_TR_PASSWORD,
                                    ESYS_TR_NONE, ESYS_TR_NONE, handle, &made);
  const impl::object forgotten(impl_->esys, made, false);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("keeping the attestation key at its persistent handle", rc);
  return {};
}

result<void> host_tpm::evict(std::uint32_t handle) {
  CUSTOS_TRY(auto object, impl_->from_tpm(handle, "opening a persistent key"));
  ESYS_TR gone = ESYS_TR_NONE;
  const auto rc = Esys_EvictControl(impl_->esys, ESYS_TR_RH_OWNER, object.get(), ESYS_TR_PASSWORD,
                                    ESYS_TR_NONE, ESYS_TR_NONE, handle, &gone);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("freeing a persistent handle", rc);
  object.forget(); // ESYS did so with the key
  return {};
}

result<bytes> host_tpm::ak_public(const ak_blob& ak) {
  CUSTOS_TRY(const auto shape, unmarshal<TPM2B_PUBLIC>(Tss2_MU_TPM2B_PUBLIC_Unmarshal,
                                                       ak.public_area, "AK public area"));
  return marshal<TPMT_PUBLIC>(Tss2_MU_TPMT_PUBLIC_Marshal, shape.publicArea);
}

result<crypto::secret_bytes> host_tpm::activate_credential(const ak_blob& ak, byte_view id_object,
                                                           byte_view encrypted_secret) {
  CUSTOS_TRY(const auto blob, unmarshal<TPM2B_ID_OBJECT>(Tss2_MU_TPM2B_ID_OBJECT_Unmarshal,
                                                         id_object, "credential"));
  CUSTOS_TRY(const auto seed,
             unmarshal<TPM2B_ENCRYPTED_SECRET>(Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal,
                                               encrypted_secret, "encrypted secret"));
  CUSTOS_TRY(const auto ek, impl_->create_ek());
  CUSTOS_TRY(const auto key, impl_->open_ak(ak));
  auto* const esys = impl_->esys;
  // High-range EKs allow their own (empty) authorization, low-range EKs their policy only: that the
  // endorsement hierarchy is authorised.
  const auto& area = ek.area.publicArea;
  impl::object policy(esys, ESYS_TR_NONE);
  ESYS_TR authority = ESYS_TR_PASSWORD;
  if ((area.objectAttributes & TPMA_OBJECT_USERWITHAUTH) == 0) {
    TPMT_SYM_DEF no_symmetric{};
    no_symmetric.algorithm = TPM2_ALG_NULL;
    auto rc = Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                    ESYS_TR_NONE, nullptr, TPM2_SE_POLICY, &no_symmetric,
                                    area.nameAlg, &authority);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("starting a policy session", rc);
    policy.hold(authority);
    rc = Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, authority, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                           ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("authorising the endorsement key", rc);
  }
  TPM2B_DIGEST* secret = nullptr;
  const auto rc = Esys_ActivateCredential(esys, key.get(), ek.handle.get(), ESYS_TR_PASSWORD,
                                          authority, ESYS_TR_NONE, &blob, &seed, &secret);
  const esys_ptr<TPM2B_DIGEST> owned(secret);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("activating the credential", rc);
  crypto::secret_bytes out(byte_view(secret->buffer, secret->size));
  crypto::wipe(secret->buffer, secret->size);
  return out;
}

} // namespace custos::tpm
