// Sealing (TPM 2.0 Part 1, 27.7; Part 3, 12.1, 12.7): a secret inside an object of the TPM that has
// no key, wrapped by the storage key. It travels between TPM and processor only encrypted under a
// session whose salt only the storage key opens (Part 1, 19.6, 21.2): who listens on the bus learns
// nothing. The name of the storage key is kept with the object, so that who sits between the two
// cannot offer a storage key of their own later.

#include "adapters/tpm/host_tpm_impl.hpp"

#include <algorithm>

namespace custos::tpm {

namespace {

constexpr TPMA_OBJECT sealed_attributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA;
constexpr std::uint32_t pcr_count = 24;

TPMT_SYM_DEF aes_cfb_session() {
  TPMT_SYM_DEF out{};
  out.algorithm = TPM2_ALG_AES;
  out.keyBits.aes = 128;
  out.mode.aes = TPM2_ALG_CFB;
  return out;
}

TPML_PCR_SELECTION selection_of(std::uint32_t pcrs) {
  TPML_PCR_SELECTION out{};
  out.count = 1;
  out.pcrSelections[0].hash = TPM2_ALG_SHA256;
  out.pcrSelections[0].sizeofSelect = pcr_count / 8;
  for (std::uint32_t i = 0; i < pcr_count / 8; ++i)
    out.pcrSelections[0].pcrSelect[i] = static_cast<BYTE>(pcrs >> (8U * i));
  return out;
}

/// An HMAC session salted with the storage key, or a policy session (a trial one computes only).
result<ESYS_TR> start_session(ESYS_CONTEXT* esys, ESYS_TR salted_with, TPM2_SE type,
                              const TPMT_SYM_DEF& symmetric) {
  ESYS_TR session = ESYS_TR_NONE;
  const auto rc =
      Esys_StartAuthSession(esys, salted_with, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                            ESYS_TR_NONE, nullptr, type, &symmetric, TPM2_ALG_SHA256, &session);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("starting a session", rc);
  return session;
}

result<void> encrypts(ESYS_CONTEXT* esys, ESYS_TR session, TPMA_SESSION what) {
  const auto rc =
      Esys_TRSess_SetAttributes(esys, session, TPMA_SESSION_CONTINUESESSION | what, 0xFF);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("setting up an encrypted session", rc);
  return {};
}

/// TPM2_PolicyPCR with the values of now (Part 3, 23.7).
result<ESYS_TR> start_pcr_policy(ESYS_CONTEXT* esys, TPM2_SE type, std::uint32_t pcrs) {
  TPMT_SYM_DEF none{};
  none.algorithm = TPM2_ALG_NULL;
  CUSTOS_TRY(const auto session, start_session(esys, ESYS_TR_NONE, type, none));
  const TPM2B_DIGEST now{};
  const auto selection = selection_of(pcrs);
  const auto rc =
      Esys_PolicyPCR(esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &now, &selection);
  if (rc != TSS2_RC_SUCCESS) {
    Esys_FlushContext(esys, session);
    return tpm_error("asking for a policy of PCRs", rc);
  }
  return session;
}

/// What such a policy comes to, without being one.
result<TPM2B_DIGEST> pcr_policy_digest(ESYS_CONTEXT* esys, std::uint32_t pcrs) {
  CUSTOS_TRY(const auto trial, start_pcr_policy(esys, TPM2_SE_TRIAL, pcrs));
  TPM2B_DIGEST* digest = nullptr;
  const auto rc =
      Esys_PolicyGetDigest(esys, trial, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest);
  const esys_ptr<TPM2B_DIGEST> owned(digest);
  Esys_FlushContext(esys, trial);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("computing a policy of PCRs", rc);
  return *digest;
}

result<bytes> name_of(ESYS_CONTEXT* esys, ESYS_TR handle) {
  TPM2B_NAME* name = nullptr;
  const auto rc = Esys_TR_GetName(esys, handle, &name);
  const esys_ptr<TPM2B_NAME> owned(name);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("asking for the name of the storage key", rc);
  return bytes(name->name, name->name + name->size);
}

error other_tpm() {
  return make_error(errc::corrupted,
                    "the TPM does not know the sealed secret: it was cleared, or it is another TPM "
                    "than the one that sealed it, or the file was changed");
}

} // namespace

result<sealed_object> host_tpm::seal(const crypto::secret_bytes& secret, std::uint32_t pcrs) {
  auto* const esys = impl_->esys;
  if (secret.empty() || secret.size() > sealed_secret_bytes_max)
    return make_error(errc::invalid_argument, "expected a secret of 1 to 64 bytes");
  CUSTOS_TRY(const auto parent, impl_->create_primary(ESYS_TR_RH_OWNER, srk_template()));
  TPM2B_PUBLIC shape{};
  shape.publicArea.type = TPM2_ALG_KEYEDHASH;
  shape.publicArea.nameAlg = TPM2_ALG_SHA256;
  shape.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
  // With a policy nothing but the policy opens it; without one its empty authorization value does.
  shape.publicArea.objectAttributes =
      sealed_attributes | (pcrs == 0 ? TPMA_OBJECT_USERWITHAUTH : TPMA_OBJECT_ADMINWITHPOLICY);
  if (pcrs != 0) {
    CUSTOS_TRY(const auto banks, active_banks());
    // A policy over a bank that is not there would hold for any state of the machine.
    if (std::find(banks.begin(), banks.end(), crypto::hash_alg::sha256) == banks.end())
      return make_error(errc::unsupported, "the TPM has no PCRs of SHA-256");
    CUSTOS_TRY(shape.publicArea.authPolicy, pcr_policy_digest(esys, pcrs));
  }
  CUSTOS_TRY(const auto session,
             start_session(esys, parent.handle.get(), TPM2_SE_HMAC, aes_cfb_session()));
  const impl::object flushed(esys, session);
  CUSTOS_CHECK(encrypts(esys, session, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT));
  TPM2B_SENSITIVE_CREATE sensitive{};
  auto& data = sensitive.sensitive.data;
  data.size = static_cast<UINT16>(secret.size());
  std::copy(secret.reveal_secret().begin(), secret.reveal_secret().end(), data.buffer);
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION none{};
  TPM2B_PRIVATE* sealed = nullptr;
  TPM2B_PUBLIC* made = nullptr;
  const auto rc =
      Esys_Create(esys, parent.handle.get(), session, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                  &shape, &outside, &none, &sealed, &made, nullptr, nullptr, nullptr);
  crypto::wipe(&sensitive, sizeof sensitive);
  const esys_ptr<TPM2B_PRIVATE> sealed_owned(sealed);
  const esys_ptr<TPM2B_PUBLIC> made_owned(made);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("sealing a secret", rc);
  sealed_object out;
  CUSTOS_TRY(out.public_area, marshal<TPM2B_PUBLIC>(Tss2_MU_TPM2B_PUBLIC_Marshal, *made));
  CUSTOS_TRY(out.private_area, marshal<TPM2B_PRIVATE>(Tss2_MU_TPM2B_PRIVATE_Marshal, *sealed));
  CUSTOS_TRY(out.parent_name, name_of(esys, parent.handle.get()));
  return out;
}

result<crypto::secret_bytes> host_tpm::unseal(const sealed_object& object, std::uint32_t pcrs) {
  auto* const esys = impl_->esys;
  CUSTOS_TRY(const auto shape, unmarshal<TPM2B_PUBLIC>(Tss2_MU_TPM2B_PUBLIC_Unmarshal,
                                                       object.public_area, "sealed object"));
  CUSTOS_TRY(const auto sealed, unmarshal<TPM2B_PRIVATE>(Tss2_MU_TPM2B_PRIVATE_Unmarshal,
                                                         object.private_area, "sealed object"));
  CUSTOS_TRY(const auto parent, impl_->create_primary(ESYS_TR_RH_OWNER, srk_template()));
  CUSTOS_TRY(const auto parent_name, name_of(esys, parent.handle.get()));
  if (!crypto::equal(parent_name, object.parent_name))
    return other_tpm();
  ESYS_TR handle = ESYS_TR_NONE;
  auto rc = Esys_Load(esys, parent.handle.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                      &sealed, &shape, &handle);
  const impl::object loaded(esys, handle);
  // Whatever the TPM has against the object itself (Part 2, 6.6.3: an error about a parameter).
  if (is_tpm_code(rc) && (rc & TPM2_RC_FMT1) != 0 && (rc & TPM2_RC_P) != 0)
    return other_tpm();
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("loading a sealed secret", rc);
  CUSTOS_TRY(const auto session,
             start_session(esys, parent.handle.get(), TPM2_SE_HMAC, aes_cfb_session()));
  const impl::object session_flushed(esys, session);
  CUSTOS_CHECK(encrypts(esys, session, TPMA_SESSION_ENCRYPT));
  // The salted session authorises, or only encrypts what a policy session authorises.
  impl::object policy(esys, ESYS_TR_NONE);
  if (pcrs != 0) {
    CUSTOS_TRY(const auto started, start_pcr_policy(esys, TPM2_SE_POLICY, pcrs));
    policy.hold(started);
  }
  TPM2B_SENSITIVE_DATA* secret = nullptr;
  rc = Esys_Unseal(esys, loaded.get(), pcrs != 0 ? policy.get() : session,
                   pcrs != 0 ? session : ESYS_TR_NONE, ESYS_TR_NONE, &secret);
  const esys_ptr<TPM2B_SENSITIVE_DATA> owned(secret);
  if (is_tpm_code(rc) && (bare(rc) == TPM2_RC_POLICY_FAIL || rc == TPM2_RC_PCR_CHANGED))
    return make_error(errc::forbidden,
                      "the TPM keeps the secret back: the PCRs it was sealed to have other values");
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("unsealing a secret", rc);
  crypto::secret_bytes out(byte_view(secret->buffer, secret->size));
  crypto::wipe(secret->buffer, secret->size);
  return out;
}

} // namespace custos::tpm
