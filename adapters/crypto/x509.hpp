#pragma once
// X.509 certificates (RFC 5280): parse, read, verify chains, issue. Bytes are kept as received and
// never re-encoded: signatures are over what was sent.

#include "adapters/crypto/crypto.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct X509_crl_st;

namespace custos::crypto {

/// Seconds since 1970-01-01T00:00:00Z.
using unix_seconds = std::int64_t;

class certificate {
public:
  certificate() = default;
  explicit certificate(std::shared_ptr<x509_st> handle, bytes der)
      : handle_(std::move(handle)), der_(std::make_shared<const bytes>(std::move(der))) {}
  explicit operator bool() const { return handle_ != nullptr; }
  [[nodiscard]] x509_st* handle() const { return handle_.get(); }
  [[nodiscard]] const bytes& der() const { return *der_; }
  [[nodiscard]] std::string pem() const;
  [[nodiscard]] key public_key() const;
  /// Its SubjectPublicKeyInfo as it stands in the certificate, DER; the key is not looked at.
  [[nodiscard]] bytes spki_der() const;
  /// RFC 4514-like one line.
  [[nodiscard]] std::string subject() const;
  [[nodiscard]] std::string issuer() const;
  /// First CN of the subject, empty if none.
  [[nodiscard]] std::string common_name() const;
  [[nodiscard]] std::string serial_hex() const;
  [[nodiscard]] unix_seconds not_before() const;
  [[nodiscard]] unix_seconds not_after() const;
  [[nodiscard]] sha256_digest fingerprint() const { return sha256(der()); }
  [[nodiscard]] std::vector<std::string> dns_names() const;
  /// Of the subject alternative names, as text.
  [[nodiscard]] std::vector<std::string> ip_addresses() const;
  [[nodiscard]] bool is_ca() const;

private:
  std::shared_ptr<x509_st> handle_;
  std::shared_ptr<const bytes> der_ = std::make_shared<const bytes>();
};

/// Exactly one DER certificate; trailing bytes are an error.
result<certificate> certificate_from_der(byte_view der);
/// As stored in TPM NV (TCG EK Credential Profile 2.2.1.5): padding behind the outer SEQUENCE is
/// cut off when it is all 0x00 or all 0xFF.
result<certificate> certificate_from_nv(byte_view padded);
/// One or more PEM blocks; at most certificates_max.
result<std::vector<certificate>> certificates_from_pem(byte_view pem,
                                                       std::size_t certificates_max = 16);
result<certificate> certificate_from_pem(byte_view pem);

/// A certificate revocation list (RFC 5280, 5), as received.
class certificate_revocation_list {
public:
  certificate_revocation_list() = default;
  explicit certificate_revocation_list(std::shared_ptr<X509_crl_st> handle, bytes der)
      : handle_(std::move(handle)), der_(std::make_shared<const bytes>(std::move(der))) {}
  explicit operator bool() const { return handle_ != nullptr; }
  [[nodiscard]] X509_crl_st* handle() const { return handle_.get(); }
  [[nodiscard]] const bytes& der() const { return *der_; }
  [[nodiscard]] std::string pem() const;
  /// RFC 4514-like one line.
  [[nodiscard]] std::string issuer() const;
  /// Its IssuingDistributionPoint (RFC 5280, 5.2.5), DER; empty: all certificates of the issuer.
  [[nodiscard]] bytes scope() const;
  [[nodiscard]] unix_seconds last_update() const;
  /// 0: the list does not say when there will be another.
  [[nodiscard]] unix_seconds next_update() const;

private:
  std::shared_ptr<X509_crl_st> handle_;
  std::shared_ptr<const bytes> der_ = std::make_shared<const bytes>();
};

/// Largest CRL read, in octets.
inline constexpr std::size_t crl_bytes_max = 1U << 20U;
/// Exactly one list; trailing bytes are an error. The signature is verified with the path.
result<certificate_revocation_list> crl_from_der(byte_view der);
result<certificate_revocation_list> crl_from_pem(byte_view pem);

/// What a leaf must be good for.
enum class purpose : std::uint8_t { any, tls_client, tls_server };

/// Which certificates of a path may have expired. One that is not valid yet is never accepted.
enum class may_expire : std::uint8_t { none, leaf, any };

struct verify_options {
  purpose use = purpose::any;
  unix_seconds now = 0;
  /// Trust anchors may be intermediates (X509_V_FLAG_PARTIAL_CHAIN).
  bool partial_chain = true;
  /// Validity dates are not judged.
  bool ignore_validity = false;
  may_expire expired = may_expire::none;
  /// Signatures with SHA-1 count. Nobody looks at the anchor's own.
  bool allow_sha1 = false;
};

/// Builds and verifies a path from leaf over intermediates to an anchor (RFC 5280, 6). For many
/// verifications with the same anchors see x509_path.hpp.
result<void> verify_chain(const certificate& leaf, const std::vector<certificate>& intermediates,
                          const std::vector<certificate>& anchors, const verify_options& options);

/// One certificate to issue. Serial numbers are random (128 bits).
struct certificate_request {
  std::string common_name;
  std::string organization;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  bool is_ca = false;
  bool client_auth = false;
  bool server_auth = false;
  unix_seconds not_before = 0;
  unix_seconds not_after = 0;
  /// Extra extension: OID in dotted form and its DER-encoded OCTET STRING content.
  struct extension {
    std::string oid;
    bytes value;
    bool critical = false;
  };
  std::vector<extension> extensions;
};

/// `issuer` empty: self-signed with `issuer_key` == subject's private key.
result<certificate> issue_certificate(const certificate_request& request, const key& subject_public,
                                      const key& issuer_key, const certificate* issuer);
/// The value of a (non-standard) extension by dotted OID.
std::optional<bytes> extension_of(const certificate& cert, std::string_view oid);

/// PKCS#10 (RFC 2986), PEM. Signature of the CSR is verified when read.
result<std::string> make_csr_pem(const certificate_request& request, const key& subject_private);
struct csr_content {
  key public_key;
  std::string common_name;
};
result<csr_content> read_csr_pem(byte_view pem);

} // namespace custos::crypto
