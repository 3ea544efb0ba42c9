#include "adapters/tpm/host_tpm.hpp"

#include "adapters/tpm/structures.hpp"

#include <algorithm>
#include <cstring>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

namespace custos::tpm {

namespace {

constexpr TPM2_HANDLE rsa_ek_certificate_index = 0x01C00002;
constexpr TPM2_HANDLE ecc_ek_certificate_index = 0x01C0000A;
constexpr std::uint16_t nv_read_bytes_max = 512; // below MAX_NV_BUFFER of every TPM
constexpr std::size_t nv_certificate_bytes_max = 4096;
constexpr int attempts_max = 5;

/// PolicySecret(TPM_RH_ENDORSEMENT): the policy of the low-range EK templates (EK Profile, B.3).
constexpr std::array<std::uint8_t, 32> ek_policy{
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

error tpm_error(const char* doing, TSS2_RC rc) {
  auto e = make_error(errc::tpm_failure, std::string(doing) + ": " + Tss2_RC_Decode(rc));
  e.retryable = true;
  return e;
}

struct esys_free {
  void operator()(void* p) const { Esys_Free(p); }
};
template <class T>
using esys_ptr = std::unique_ptr<T, esys_free>;

template <class T>
result<bytes> marshal(TSS2_RC (*write)(const T*, std::uint8_t*, std::size_t, std::size_t*),
                      const T& value) {
  bytes out(4096);
  std::size_t size = 0;
  if (const auto rc = write(&value, out.data(), out.size(), &size); rc != TSS2_RC_SUCCESS)
    return tpm_error("marshalling a TPM structure", rc);
  out.resize(size);
  return out;
}

template <class T>
result<T> unmarshal(TSS2_RC (*read)(const std::uint8_t*, std::size_t, std::size_t*, T*),
                    byte_view data, const char* what) {
  T out{};
  std::size_t offset = 0;
  if (read(data.data(), data.size(), &offset, &out) != TSS2_RC_SUCCESS || offset != data.size())
    return make_error(errc::malformed, std::string(what) + " does not unmarshal");
  return out;
}

constexpr TPMA_OBJECT ek_attributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
constexpr TPMA_OBJECT srk_attributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
// Without NODA a machine that loses power while its AK is in use counts a failed authorization
// (Part 1, 19.8.6), and a few of these lock the AK out of a TPM that did nothing wrong. The AK has
// no authorization value that could be guessed.
constexpr TPMA_OBJECT ak_attributes = TPMA_OBJECT_NODA | TPMA_OBJECT_FIXEDTPM |
                                      TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                      TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED |
                                      TPMA_OBJECT_SIGN_ENCRYPT;

TPMT_SYM_DEF_OBJECT aes128_cfb() {
  TPMT_SYM_DEF_OBJECT s{};
  s.algorithm = TPM2_ALG_AES;
  s.keyBits.aes = 128;
  s.mode.aes = TPM2_ALG_CFB;
  return s;
}

/// Template L-1 or L-2 (EK Profile, B.3.3, B.3.4).
TPM2B_PUBLIC ek_template(bool rsa) {
  TPM2B_PUBLIC t{};
  auto& a = t.publicArea;
  a.nameAlg = TPM2_ALG_SHA256;
  a.objectAttributes = ek_attributes;
  a.authPolicy.size = ek_policy.size();
  std::memcpy(a.authPolicy.buffer, ek_policy.data(), ek_policy.size());
  if (rsa) {
    a.type = TPM2_ALG_RSA;
    a.parameters.rsaDetail.symmetric = aes128_cfb();
    a.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    a.parameters.rsaDetail.keyBits = 2048;
    a.unique.rsa.size = 256; // zeros
  } else {
    a.type = TPM2_ALG_ECC;
    a.parameters.eccDetail.symmetric = aes128_cfb();
    a.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
    a.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    a.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    a.unique.ecc.x.size = 32;
    a.unique.ecc.y.size = 32;
  }
  return t;
}

TPM2B_PUBLIC srk_template() {
  TPM2B_PUBLIC t{};
  auto& a = t.publicArea;
  a.type = TPM2_ALG_ECC;
  a.nameAlg = TPM2_ALG_SHA256;
  a.objectAttributes = srk_attributes;
  a.parameters.eccDetail.symmetric = aes128_cfb();
  a.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  a.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
  a.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  return t;
}

TPM2B_PUBLIC ak_template(ak_algorithm alg) {
  TPM2B_PUBLIC t{};
  auto& a = t.publicArea;
  a.nameAlg = TPM2_ALG_SHA256;
  a.objectAttributes = ak_attributes;
  if (alg == ak_algorithm::rsassa_2048) {
    a.type = TPM2_ALG_RSA;
    a.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
    a.parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSASSA;
    a.parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
    a.parameters.rsaDetail.keyBits = 2048;
  } else {
    a.type = TPM2_ALG_ECC;
    a.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
    a.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
    a.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    a.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    a.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  }
  return t;
}

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

} // namespace

struct host_tpm::impl {
  TSS2_TCTI_CONTEXT* tcti = nullptr;
  ESYS_CONTEXT* esys = nullptr;

  impl() = default;
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;
  ~impl() {
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&tcti);
  }

  /// A transient object, flushed when it goes out of scope.
  class object {
  public:
    object(ESYS_CONTEXT* esys, ESYS_TR handle) : esys_(esys), handle_(handle) {}
    object(object&& other) noexcept
        : esys_(other.esys_), handle_(std::exchange(other.handle_, ESYS_TR_NONE)) {}
    object& operator=(object&&) = delete;
    object(const object&) = delete;
    object& operator=(const object&) = delete;
    ~object() {
      if (handle_ != ESYS_TR_NONE)
        Esys_FlushContext(esys_, handle_);
    }
    [[nodiscard]] ESYS_TR get() const { return handle_; }

  private:
    ESYS_CONTEXT* esys_;
    ESYS_TR handle_;
  };

  result<object> create_primary(ESYS_TR hierarchy, const TPM2B_PUBLIC& shape,
                                esys_ptr<TPM2B_PUBLIC>* out_public) {
    TPM2B_SENSITIVE_CREATE sensitive{};
    TPM2B_DATA outside{};
    TPML_PCR_SELECTION none{};
    ESYS_TR handle = ESYS_TR_NONE;
    TPM2B_PUBLIC* made = nullptr;
    const auto rc = Esys_CreatePrimary(esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                       ESYS_TR_NONE, &sensitive, &shape, &outside, &none, &handle,
                                       &made, nullptr, nullptr, nullptr);
    const esys_ptr<TPM2B_PUBLIC> owned(made);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("making a primary key", rc);
    if (out_public != nullptr)
      out_public->reset(new (std::nothrow) TPM2B_PUBLIC(*made));
    return object(esys, handle);
  }

  result<object> load_ak(const ak_blob& ak) {
    CUSTOS_TRY(const auto shape, unmarshal<TPM2B_PUBLIC>(Tss2_MU_TPM2B_PUBLIC_Unmarshal,
                                                         ak.public_area, "AK public area"));
    CUSTOS_TRY(const auto sealed, unmarshal<TPM2B_PRIVATE>(Tss2_MU_TPM2B_PRIVATE_Unmarshal,
                                                           ak.private_area, "AK private area"));
    CUSTOS_TRY(const auto parent, create_primary(ESYS_TR_RH_OWNER, srk_template(), nullptr));
    ESYS_TR handle = ESYS_TR_NONE;
    const auto rc = Esys_Load(esys, parent.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                              &sealed, &shape, &handle);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("loading the attestation key (was it made by another TPM?)", rc);
    return object(esys, handle);
  }

  result<bytes> read_nv(TPM2_HANDLE index) {
    ESYS_TR handle = ESYS_TR_NONE;
    if (Esys_TR_FromTPMPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle) !=
        TSS2_RC_SUCCESS)
      return make_error(errc::not_found, "the TPM has no EK certificate in NV");
    TPM2B_NV_PUBLIC* about = nullptr;
    auto rc =
        Esys_NV_ReadPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &about, nullptr);
    const esys_ptr<TPM2B_NV_PUBLIC> about_owned(about);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("reading about the EK certificate in NV", rc);
    const std::size_t size = about->nvPublic.dataSize;
    if (size > nv_certificate_bytes_max)
      return make_error(errc::too_large, "the EK certificate's NV index is larger than 4096 bytes");
    bytes out;
    while (out.size() < size) {
      const auto part =
          static_cast<UINT16>(std::min<std::size_t>(size - out.size(), nv_read_bytes_max));
      TPM2B_MAX_NV_BUFFER* data = nullptr;
      rc = Esys_NV_Read(esys, handle, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, part,
                        static_cast<UINT16>(out.size()), &data);
      const esys_ptr<TPM2B_MAX_NV_BUFFER> owned(data);
      if (rc != TSS2_RC_SUCCESS || data->size == 0)
        return tpm_error("reading the EK certificate from NV", rc);
      out.insert(out.end(), data->buffer, data->buffer + data->size);
    }
    Esys_TR_Close(esys, &handle);
    return out;
  }

  /// Which EK template belongs to this TPM: that of the certificate it has.
  bool has_rsa_certificate() {
    ESYS_TR handle = ESYS_TR_NONE;
    const bool rsa = Esys_TR_FromTPMPublic(esys, rsa_ek_certificate_index, ESYS_TR_NONE,
                                           ESYS_TR_NONE, ESYS_TR_NONE, &handle) == TSS2_RC_SUCCESS;
    if (rsa)
      Esys_TR_Close(esys, &handle);
    ESYS_TR other = ESYS_TR_NONE;
    const bool ecc =
        !rsa && Esys_TR_FromTPMPublic(esys, ecc_ek_certificate_index, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, &other) == TSS2_RC_SUCCESS;
    if (ecc)
      Esys_TR_Close(esys, &other);
    return !ecc;
  }

  /// One pass over all values; `counter` tells whether a PCR moved meanwhile.
  result<std::vector<pcr_value>> read_pcrs(TPML_PCR_SELECTION wanted, std::uint32_t& counter) {
    std::vector<pcr_value> out;
    bool first = true;
    for (;;) {
      UINT32 update = 0;
      TPML_PCR_SELECTION* got = nullptr;
      TPML_DIGEST* values = nullptr;
      const auto rc = Esys_PCR_Read(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted,
                                    &update, &got, &values);
      const esys_ptr<TPML_PCR_SELECTION> got_owned(got);
      const esys_ptr<TPML_DIGEST> values_owned(values);
      if (rc != TSS2_RC_SUCCESS)
        return tpm_error("reading PCRs", rc);
      if (!first && update != counter)
        return make_error(errc::tpm_failure, "a PCR changed while they were read");
      first = false;
      counter = update;
      std::size_t next = 0;
      for (UINT32 i = 0; i < got->count; ++i)
        for (std::uint32_t pcr = 0; pcr < pcrs_max; ++pcr)
          if (((mask_of(got->pcrSelections[i]) >> pcr) & 1U) != 0 && next < values->count) {
            const auto& d = values->digests[next++];
            out.push_back({got->pcrSelections[i].hash, pcr, bytes(d.buffer, d.buffer + d.size)});
          }
      if (next == 0)
        return out; // a TPM gives at most 8 values a call; nothing more: all read
      std::uint32_t left = 0;
      for (UINT32 i = 0; i < wanted.count && i < got->count; ++i) {
        const auto rest = mask_of(wanted.pcrSelections[i]) & ~mask_of(got->pcrSelections[i]);
        select(wanted.pcrSelections[i], static_cast<crypto::hash_alg>(wanted.pcrSelections[i].hash),
               rest);
        left |= rest;
      }
      if (left == 0)
        return out;
    }
  }
};

host_tpm::host_tpm(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
host_tpm::~host_tpm() = default;

result<std::unique_ptr<host_tpm>> host_tpm::open(const std::string& tcti) {
  auto i = std::make_unique<impl>();
  if (const auto rc = Tss2_TctiLdr_Initialize(tcti.c_str(), &i->tcti); rc != TSS2_RC_SUCCESS)
    return tpm_error(("opening the TPM at \"" + tcti + "\"").c_str(), rc);
  if (const auto rc = Esys_Initialize(&i->esys, i->tcti, nullptr); rc != TSS2_RC_SUCCESS)
    return tpm_error(("starting with the TPM at \"" + tcti + "\"").c_str(), rc);
  return std::unique_ptr<host_tpm>(new host_tpm(std::move(i)));
}

result<bytes> host_tpm::ek_certificate() {
  auto rsa = impl_->read_nv(rsa_ek_certificate_index);
  if (rsa || rsa.failure().code != errc::not_found)
    return rsa;
  return impl_->read_nv(ecc_ek_certificate_index);
}

result<bytes> host_tpm::ek_public() {
  esys_ptr<TPM2B_PUBLIC> made;
  CUSTOS_TRY(const auto ek,
             impl_->create_primary(ESYS_TR_RH_ENDORSEMENT,
                                   ek_template(impl_->has_rsa_certificate()), &made));
  return marshal<TPMT_PUBLIC>(Tss2_MU_TPMT_PUBLIC_Marshal, made->publicArea);
}

result<ak_blob> host_tpm::create_ak(ak_algorithm alg) {
  CUSTOS_TRY(const auto parent, impl_->create_primary(ESYS_TR_RH_OWNER, srk_template(), nullptr));
  const auto shape = ak_template(alg);
  TPM2B_SENSITIVE_CREATE sensitive{};
  TPM2B_DATA outside{};
  TPML_PCR_SELECTION none{};
  TPM2B_PRIVATE* sealed = nullptr;
  TPM2B_PUBLIC* made = nullptr;
  const auto rc =
      Esys_Create(impl_->esys, parent.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                  &sensitive, &shape, &outside, &none, &sealed, &made, nullptr, nullptr, nullptr);
  const esys_ptr<TPM2B_PRIVATE> sealed_owned(sealed);
  const esys_ptr<TPM2B_PUBLIC> made_owned(made);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("making an attestation key", rc);
  ak_blob out;
  CUSTOS_TRY(out.public_area, marshal<TPM2B_PUBLIC>(Tss2_MU_TPM2B_PUBLIC_Marshal, *made));
  CUSTOS_TRY(out.private_area, marshal<TPM2B_PRIVATE>(Tss2_MU_TPM2B_PRIVATE_Marshal, *sealed));
  return out;
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
  CUSTOS_TRY(const auto ek,
             impl_->create_primary(ESYS_TR_RH_ENDORSEMENT,
                                   ek_template(impl_->has_rsa_certificate()), nullptr));
  CUSTOS_TRY(const auto key, impl_->load_ak(ak));
  TPMT_SYM_DEF no_symmetric{};
  no_symmetric.algorithm = TPM2_ALG_NULL;
  ESYS_TR session = ESYS_TR_NONE;
  auto rc = Esys_StartAuthSession(impl_->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_NONE, ESYS_TR_NONE, nullptr, TPM2_SE_POLICY,
                                  &no_symmetric, TPM2_ALG_SHA256, &session);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("starting a policy session", rc);
  const impl::object policy(impl_->esys, session);
  rc =
      Esys_PolicySecret(impl_->esys, ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD,
                        ESYS_TR_NONE, ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("authorising the endorsement key", rc);
  TPM2B_DIGEST* secret = nullptr;
  rc = Esys_ActivateCredential(impl_->esys, key.get(), ek.get(), ESYS_TR_PASSWORD, session,
                               ESYS_TR_NONE, &blob, &seed, &secret);
  const esys_ptr<TPM2B_DIGEST> owned(secret);
  if (rc != TSS2_RC_SUCCESS)
    return tpm_error("activating the credential", rc);
  crypto::secret_bytes out(byte_view(secret->buffer, secret->size));
  crypto::wipe(secret->buffer, secret->size);
  return out;
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
    const auto alg = static_cast<crypto::hash_alg>(s.hash);
    const bool known = s.hash == TPM2_ALG_SHA1 || s.hash == TPM2_ALG_SHA256 ||
                       s.hash == TPM2_ALG_SHA384 || s.hash == TPM2_ALG_SHA512;
    if (known && mask_of(s) != 0)
      out.push_back(alg);
  }
  return out;
}

result<quoted> host_tpm::quote(const ak_blob& ak, std::uint32_t mask, byte_view qualifying_data) {
  CUSTOS_TRY(const auto banks, active_banks());
  TPML_PCR_SELECTION wanted{};
  for (const auto alg : banks)
    if (alg != crypto::hash_alg::sha1)
      select(wanted.pcrSelections[wanted.count++], alg, mask);
  TPM2B_DATA extra{};
  if (wanted.count == 0 || qualifying_data.size() > sizeof extra.buffer)
    return make_error(errc::tpm_failure, "the TPM has no active PCR bank of SHA-256 or better");
  extra.size = static_cast<UINT16>(qualifying_data.size());
  std::memcpy(extra.buffer, qualifying_data.data(), qualifying_data.size());
  CUSTOS_TRY(const auto key, impl_->load_ak(ak));
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_NULL; // the key's own
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    std::uint32_t counter = 0;
    auto values = impl_->read_pcrs(wanted, counter);
    if (!values)
      continue;
    TPM2B_ATTEST* attest_out = nullptr;
    TPMT_SIGNATURE* signature = nullptr;
    const auto rc = Esys_Quote(impl_->esys, key.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                               &extra, &scheme, &wanted, &attest_out, &signature);
    const esys_ptr<TPM2B_ATTEST> attest_owned(attest_out);
    const esys_ptr<TPMT_SIGNATURE> signature_owned(signature);
    if (rc != TSS2_RC_SUCCESS)
      return tpm_error("quoting", rc);
    quoted out;
    out.quote.assign(attest_out->attestationData, attest_out->attestationData + attest_out->size);
    CUSTOS_TRY(out.signature, marshal<TPMT_SIGNATURE>(Tss2_MU_TPMT_SIGNATURE_Marshal, *signature));
    out.pcrs = *std::move(values);
    CUSTOS_TRY(const auto parsed, parse_quote(out.quote));
    CUSTOS_TRY(const auto digest,
               pcr_composite_digest(crypto::hash_alg::sha256, parsed.selection, out.pcrs));
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
