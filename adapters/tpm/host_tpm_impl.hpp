#pragma once
// What the files of host_tpm share; internal (this header shows tss2 types and is included by .cpp
// only).

#include "adapters/tpm/host_tpm.hpp"
#include "adapters/tpm/templates.hpp"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <utility>

namespace custos::tpm {

/// A format-1 response code without the parameter, handle or session it is about (Part 2, 6.6.2).
constexpr TSS2_RC bare(TSS2_RC rc) {
  return (rc & TPM2_RC_FMT1) != 0 ? rc & (TPM2_RC_FMT1 | 0x3FU) : rc;
}
/// The TPM itself said so, not a library on the way.
constexpr bool is_tpm_code(TSS2_RC rc) {
  return (rc & TSS2_RC_LAYER_MASK) == 0;
}

/// errc::tpm_failure with the TPM's or the library's own words; retryable.
error tpm_error(const char* doing, TSS2_RC rc);
error not_unmarshalled(const char* what);

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
    return not_unmarshalled(what);
  return out;
}

/// The size of the reads that every TPM allows (Part 2, 6.13: MAX_NV_BUFFER is at least this).
inline constexpr std::uint16_t nv_read_bytes_min = 64;

struct host_tpm::impl {
  TSS2_TCTI_CONTEXT* tcti = nullptr;
  ESYS_CONTEXT* esys = nullptr;
  ek_kind wanted_ek = ek_kind::automatic;

  impl() = default;
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;
  ~impl();

  /// A handle of ESYS, given back when it goes out of scope: transient objects and sessions are
  /// flushed, persistent ones and NV indices only forgotten.
  class object {
  public:
    object(ESYS_CONTEXT* esys, ESYS_TR handle, bool transient = true)
        : esys_(esys), handle_(handle), transient_(transient) {}
    object(object&& other) noexcept
        : esys_(other.esys_), handle_(std::exchange(other.handle_, ESYS_TR_NONE)),
          transient_(other.transient_) {}
    object& operator=(object&&) = delete;
    object(const object&) = delete;
    object& operator=(const object&) = delete;
    ~object() {
      if (handle_ == ESYS_TR_NONE)
        return;
      if (transient_)
        Esys_FlushContext(esys_, handle_);
      else
        Esys_TR_Close(esys_, &handle_);
    }
    [[nodiscard]] ESYS_TR get() const { return handle_; }
    /// The TPM no longer knows it, or ESYS gave it back itself.
    void forget() { handle_ = ESYS_TR_NONE; }
    /// Takes charge of a handle; there was none before.
    void hold(ESYS_TR handle) { handle_ = handle; }

  private:
    ESYS_CONTEXT* esys_;
    ESYS_TR handle_;
    bool transient_;
  };

  struct made_primary {
    object handle;
    TPM2B_PUBLIC area;
  };
  result<made_primary> create_primary(ESYS_TR hierarchy, const TPM2B_PUBLIC& shape);

  /// The attestation key, ready for use: where the TPM holds it, else loaded from its blob.
  result<object> open_ak(const ak_blob& ak);
  result<object> load_ak(const ak_blob& ak);
  /// A persistent object or NV index that is known to be there.
  result<object> from_tpm(TPM2_HANDLE handle, const char* doing);

  /// Handles in use, `first` to `last`, ascending (TPM2_GetCapability, TPM_CAP_HANDLES).
  result<std::vector<TPM2_HANDLE>> handles(TPM2_HANDLE first, TPM2_HANDLE last);

  /// TPM_PT_NV_BUFFER_MAX: how much one read may ask for.
  std::uint16_t nv_buffer_bytes();
  /// The whole index. errc::not_found: it is not there, or was never written.
  result<bytes> read_nv(TPM2_HANDLE index);
  /// The slot whose certificate is in NV, else the one that is used without certificates.
  result<const ek_slot*> present_slot();
  /// The template in NV, else the profile's, with the nonce in NV.
  result<TPM2B_PUBLIC> shape_of(const ek_slot& slot);
  result<made_primary> create_ek();

  /// All values. errc::cancelled: a PCR moved meanwhile, try again.
  result<std::vector<pcr_value>> read_pcrs(TPML_PCR_SELECTION wanted);
};

} // namespace custos::tpm
